var searchData=
[
  ['clock_5fahead_5fms_0',['clock_ahead_ms',['../structfiledb__store__stats.html#aed74eb701a640b2b9dea4c58bc1372d6',1,'filedb_store_stats']]],
  ['code_1',['code',['../structfiledb__error.html#abb34601a00306d5552bb2eda251d7315',1,'filedb_error']]]
];
