var searchData=
[
  ['expired_5fkeys_0',['expired_keys',['../structfiledb__store__stats.html#afb20278815cd9431fd7eee59997a94c8',1,'filedb_store_stats']]]
];
