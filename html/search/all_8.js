var searchData=
[
  ['if_5fabsent_0',['if_absent',['../classfiledbxx_1_1PutOptions.html#addfd45af6cceefe053ae0ea2f0379629',1,'filedbxx::PutOptions']]],
  ['if_5fpresent_1',['if_present',['../classfiledbxx_1_1PutOptions.html#a3fa62e8313444a27804c5f43a7d05d89',1,'filedbxx::PutOptions']]],
  ['in_5fc_2',['in_c',['../structfiledbxx_1_1Range.html#ab681df7dc46a04253c01031461e99ab5',1,'filedbxx::Range']]],
  ['increment_3',['increment',['../classfiledbxx_1_1Store.html#ae4f80a18b6c656cd1d18c86f0d2cd38c',1,'filedbxx::Store']]],
  ['index_5fbytes_4',['index_bytes',['../structfiledb__store__stats.html#adde1cc1d4a39bf616b219fc1ab067942',1,'filedb_store_stats']]],
  ['iterator_5',['Iterator',['../classfiledbxx_1_1Iterator.html',1,'filedbxx::Iterator'],['../classfiledbxx_1_1Iterator.html#a5d7443643500d5eac6f1c39508b68b75',1,'filedbxx::Iterator::Iterator()']]],
  ['iterators_6',['iterators',['../structfiledb__store__stats.html#a4d01ac10710862827ee39486c8001774',1,'filedb_store_stats']]]
];
