var searchData=
[
  ['index_5fbytes_0',['index_bytes',['../structfiledb__store__stats.html#adde1cc1d4a39bf616b219fc1ab067942',1,'filedb_store_stats']]],
  ['iterators_1',['iterators',['../structfiledb__store__stats.html#a4d01ac10710862827ee39486c8001774',1,'filedb_store_stats']]]
];
