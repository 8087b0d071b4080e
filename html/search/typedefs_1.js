var searchData=
[
  ['log_0',['Log',['../namespacefiledbxx.html#ad1cd0c62c939b34f1f699a3a945a421c',1,'filedbxx']]]
];
