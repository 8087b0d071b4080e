var searchData=
[
  ['filedb_2eh_0',['filedb.h',['../filedb_8h.html',1,'']]],
  ['filedb_2ehpp_1',['filedb.hpp',['../filedb_8hpp.html',1,'']]]
];
