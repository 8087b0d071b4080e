var searchData=
[
  ['store_0',['Store',['../classfiledbxx_1_1Store.html',1,'filedbxx']]]
];
