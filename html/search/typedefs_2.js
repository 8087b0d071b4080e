var searchData=
[
  ['milliseconds_0',['milliseconds',['../namespacefiledbxx.html#a8e68515a04a14927b480ce2d99dba1f7',1,'filedbxx']]]
];
