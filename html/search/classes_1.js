var searchData=
[
  ['entry_0',['Entry',['../structfiledbxx_1_1Entry.html',1,'filedbxx']]],
  ['error_1',['Error',['../classfiledbxx_1_1Error.html',1,'filedbxx']]],
  ['exception_2',['Exception',['../classfiledbxx_1_1Exception.html',1,'filedbxx']]]
];
