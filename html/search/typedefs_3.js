var searchData=
[
  ['value_5ftype_0',['value_type',['../classfiledbxx_1_1Result.html#a9a3233abd37411091f73ea01418ad740',1,'filedbxx::Result::value_type()'],['../classfiledbxx_1_1Result_3_01void_01_4.html#aeadd3f5050b5a9042bc4924da7f16bbd',1,'filedbxx::Result&lt; void &gt;::value_type()']]]
];
