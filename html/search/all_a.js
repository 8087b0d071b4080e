var searchData=
[
  ['len_0',['len',['../structfiledb__slice.html#a34f0d14ce6f371f9ef56b44582a87b50',1,'filedb_slice::len()'],['../structfiledb__pinned.html#a6ac437692d7dc1b2c5309b95e7d936c6',1,'filedb_pinned::len()']]],
  ['length_1',['length',['../structfiledb__finding.html#a0523a5a662b14d8dbbb2b50912c482b9',1,'filedb_finding::length()'],['../structfiledbxx_1_1Finding.html#a3370199c66fdef690ad734584cb6594f',1,'filedbxx::Finding::length()']]],
  ['list_5fget_2',['list_get',['../classfiledbxx_1_1Store.html#a39260b6780fc292dc9b24b2ad9cb1ede',1,'filedbxx::Store']]],
  ['list_5frange_3',['list_range',['../classfiledbxx_1_1Store.html#a54d435800d6d5f0f692f07c3b5209842',1,'filedbxx::Store']]],
  ['list_5fset_4',['list_set',['../classfiledbxx_1_1Store.html#a90c83023d8e3c69d7a5d3bbd9908c213',1,'filedbxx::Store']]],
  ['list_5fsize_5',['list_size',['../classfiledbxx_1_1Store.html#af37121fff531e7fb8df9dc52cd2a4423',1,'filedbxx::Store']]],
  ['live_5fbytes_6',['live_bytes',['../structfiledb__store__stats.html#a0e26ff3404d12a5a3083b9960ad45d51',1,'filedb_store_stats']]],
  ['log_7',['log',['../classfiledbxx_1_1Options.html#a3d4e98fb1a2802aad08e207f5a95c533',1,'filedbxx::Options']]],
  ['log_8',['Log',['../namespacefiledbxx.html#ad1cd0c62c939b34f1f699a3a945a421c',1,'filedbxx']]]
];
