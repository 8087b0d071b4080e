var searchData=
[
  ['keys_0',['Keys',['../classfiledbxx_1_1Keys.html',1,'filedbxx']]]
];
