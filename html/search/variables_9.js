var searchData=
[
  ['len_0',['len',['../structfiledb__slice.html#a34f0d14ce6f371f9ef56b44582a87b50',1,'filedb_slice::len()'],['../structfiledb__pinned.html#a6ac437692d7dc1b2c5309b95e7d936c6',1,'filedb_pinned::len()']]],
  ['length_1',['length',['../structfiledb__finding.html#a0523a5a662b14d8dbbb2b50912c482b9',1,'filedb_finding::length()'],['../structfiledbxx_1_1Finding.html#a3370199c66fdef690ad734584cb6594f',1,'filedbxx::Finding::length()']]],
  ['live_5fbytes_2',['live_bytes',['../structfiledb__store__stats.html#a0e26ff3404d12a5a3083b9960ad45d51',1,'filedb_store_stats']]]
];
