var searchData=
[
  ['range_0',['range',['../classfiledbxx_1_1Store.html#acc4dee4139832c849b8892f88258a54d',1,'filedbxx::Store']]],
  ['result_1',['Result',['../classfiledbxx_1_1Result.html#a2ef8ed2733c07332f4d97f5e62af3d1a',1,'filedbxx::Result::Result(T value)'],['../classfiledbxx_1_1Result.html#a0b055f3416c2321a489b8b9cd2f1d9aa',1,'filedbxx::Result::Result(Error error)'],['../classfiledbxx_1_1Result_3_01void_01_4.html#a1204e5156ab8b2f4cedc9e11e52f731e',1,'filedbxx::Result&lt; void &gt;::Result()=default'],['../classfiledbxx_1_1Result_3_01void_01_4.html#accc7afb29c13c6c106c6439ab5fd5e47',1,'filedbxx::Result&lt; void &gt;::Result(Error error)']]],
  ['result_2',['result',['../classfiledbxx_1_1Iterator.html#a3f59908b16b08565a303c063f67ebb6f',1,'filedbxx::Iterator']]]
];
