var searchData=
[
  ['offset_0',['offset',['../structfiledb__error.html#a72a47420750d4eff5062103de7e1c35f',1,'filedb_error::offset()'],['../structfiledb__finding.html#ae7a25ebffe4fb1e5a78a5f87eb6089e5',1,'filedb_finding::offset()'],['../structfiledbxx_1_1Finding.html#ab0c9c8ddfc6157bf1bf2668f8af4d046',1,'filedbxx::Finding::offset()']]],
  ['os_5ferrno_1',['os_errno',['../structfiledb__error.html#a1e58aed6339255d90a15928a13e60ac6',1,'filedb_error']]]
];
