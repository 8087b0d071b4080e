var searchData=
[
  ['filedb_3a_20an_20embedded_20key_2dvalue_20store_0',['filedb: an embedded key-value store',['../index.html',1,'']]]
];
