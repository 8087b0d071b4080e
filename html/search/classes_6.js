var searchData=
[
  ['pinned_0',['Pinned',['../classfiledbxx_1_1Pinned.html',1,'filedbxx']]],
  ['putoptions_1',['PutOptions',['../classfiledbxx_1_1PutOptions.html',1,'filedbxx']]]
];
