var searchData=
[
  ['batch_0',['Batch',['../classfiledbxx_1_1Batch.html',1,'filedbxx']]]
];
