var searchData=
[
  ['range_0',['Range',['../structfiledbxx_1_1Range.html',1,'filedbxx']]],
  ['result_1',['Result',['../classfiledbxx_1_1Result.html',1,'filedbxx']]],
  ['result_3c_20void_20_3e_2',['Result&lt; void &gt;',['../classfiledbxx_1_1Result_3_01void_01_4.html',1,'filedbxx']]]
];
