var searchData=
[
  ['damaged_5ffiles_0',['damaged_files',['../structfiledb__check__report.html#a12598d655d7d521b45f3744527422023',1,'filedb_check_report']]],
  ['damaged_5fplaces_1',['damaged_places',['../structfiledb__check__report.html#a614465721c91a8dbc770f5767f7e76c2',1,'filedb_check_report']]],
  ['data_2',['data',['../structfiledb__slice.html#ad461042f9b93175866384e73044b57ca',1,'filedb_slice::data()'],['../structfiledb__pinned.html#a515d5a53a963200638668b1d7faa6986',1,'filedb_pinned::data()']]],
  ['data_5fbytes_3',['data_bytes',['../structfiledb__store__stats.html#a40959c54773c01708a8c4d17c3d61f37',1,'filedb_store_stats']]]
];
