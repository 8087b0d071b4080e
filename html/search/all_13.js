var searchData=
[
  ['write_0',['write',['../classfiledbxx_1_1Store.html#a0bbe47ddfaa2de2549b7319e52e6cc9f',1,'filedbxx::Store']]]
];
