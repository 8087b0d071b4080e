var searchData=
[
  ['capabilities_0',['capabilities',['../classfiledbxx_1_1Store.html#a0e03978f1a3c4211527cfc0c92a71f34',1,'filedbxx::Store']]],
  ['check_1',['check',['../namespacefiledbxx.html#af47837a16460278323e1bfb4422b2647',1,'filedbxx']]],
  ['clear_2',['clear',['../classfiledbxx_1_1Batch.html#a2f3d10ff2698e5015c7125b3cc35580c',1,'filedbxx::Batch']]],
  ['clock_5fahead_5fms_3',['clock_ahead_ms',['../structfiledb__store__stats.html#aed74eb701a640b2b9dea4c58bc1372d6',1,'filedb_store_stats']]],
  ['close_4',['close',['../classfiledbxx_1_1Store.html#a53bdd39c71bf2701589ee8901b868c46',1,'filedbxx::Store']]],
  ['code_5',['code',['../structfiledb__error.html#abb34601a00306d5552bb2eda251d7315',1,'filedb_error::code()'],['../classfiledbxx_1_1Error.html#a7b427b9022b9092a9c37b7f39008c85c',1,'filedbxx::Error::code()'],['../classfiledbxx_1_1Exception.html#abda6ea442dde46db3813547ab26d25d2',1,'filedbxx::Exception::code()']]],
  ['compare_5fand_5fswap_6',['compare_and_swap',['../classfiledbxx_1_1Store.html#ad16cb8182a1b2e65029cf9166198057f',1,'filedbxx::Store']]],
  ['contains_7',['contains',['../classfiledbxx_1_1Store.html#ade7727ba4f2c3612476fe9fd07c837de',1,'filedbxx::Store']]]
];
