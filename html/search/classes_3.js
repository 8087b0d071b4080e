var searchData=
[
  ['iterator_0',['Iterator',['../classfiledbxx_1_1Iterator.html',1,'filedbxx']]]
];
