var searchData=
[
  ['pin_0',['pin',['../structfiledb__pinned.html#ae88c6c51960cd0e394a713c4818d3568',1,'filedb_pinned']]]
];
