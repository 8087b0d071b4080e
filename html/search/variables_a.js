var searchData=
[
  ['merged_5fbytes_0',['merged_bytes',['../structfiledb__store__stats.html#a87fc61e465c15e003b3dc99591a4a129',1,'filedb_store_stats']]],
  ['merges_1',['merges',['../structfiledb__store__stats.html#a6b8f71fda8b071df1403489730af3fb0',1,'filedb_store_stats']]],
  ['merging_2',['merging',['../structfiledb__store__stats.html#a947416549dd39f0f62787840278942d0',1,'filedb_store_stats']]],
  ['message_3',['message',['../structfiledb__error.html#ac4a74ab3dfb1785a2b0b69b9b0b8d563',1,'filedb_error::message()'],['../structfiledb__finding.html#a1e7fdf157391f8dbb48ef3a4d2a3e8ed',1,'filedb_finding::message()'],['../structfiledbxx_1_1Finding.html#a9ce482f8cac8280b83f609cd6466292b',1,'filedbxx::Finding::message()']]]
];
