var searchData=
[
  ['appended_5fbytes_0',['appended_bytes',['../structfiledb__store__stats.html#a91c213a2c91190b15ed3aaaab1e91c06',1,'filedb_store_stats']]]
];
