var searchData=
[
  ['range_0',['Range',['../structfiledbxx_1_1Range.html',1,'filedbxx']]],
  ['range_1',['range',['../classfiledbxx_1_1Store.html#acc4dee4139832c849b8892f88258a54d',1,'filedbxx::Store']]],
  ['records_2',['records',['../structfiledb__check__report.html#a4bb2c7c199f33603e4c7b9958de305f7',1,'filedb_check_report']]],
  ['reserved_3',['reserved',['../structfiledb__error.html#a2f6be2186b93cc6e77ebdb638ab009f2',1,'filedb_error']]],
  ['result_4',['Result',['../classfiledbxx_1_1Result.html',1,'filedbxx::Result&lt; T &gt;'],['../classfiledbxx_1_1Result.html#a2ef8ed2733c07332f4d97f5e62af3d1a',1,'filedbxx::Result::Result(T value)'],['../classfiledbxx_1_1Result.html#a0b055f3416c2321a489b8b9cd2f1d9aa',1,'filedbxx::Result::Result(Error error)'],['../classfiledbxx_1_1Result_3_01void_01_4.html#a1204e5156ab8b2f4cedc9e11e52f731e',1,'filedbxx::Result&lt; void &gt;::Result()=default'],['../classfiledbxx_1_1Result_3_01void_01_4.html#accc7afb29c13c6c106c6439ab5fd5e47',1,'filedbxx::Result&lt; void &gt;::Result(Error error)']]],
  ['result_5',['result',['../classfiledbxx_1_1Iterator.html#a3f59908b16b08565a303c063f67ebb6f',1,'filedbxx::Iterator']]],
  ['result_3c_20void_20_3e_6',['Result&lt; void &gt;',['../classfiledbxx_1_1Result_3_01void_01_4.html',1,'filedbxx']]],
  ['reverse_7',['reverse',['../structfiledbxx_1_1Range.html#ad1533fa8619422ba90dcf8e04457eb39',1,'filedbxx::Range']]]
];
