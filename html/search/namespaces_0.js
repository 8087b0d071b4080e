var searchData=
[
  ['filedbxx_0',['filedbxx',['../namespacefiledbxx.html',1,'']]]
];
