var searchData=
[
  ['severity_0',['severity',['../structfiledb__finding.html#a617504a943c857c4c507468a8f4d1cea',1,'filedb_finding::severity()'],['../structfiledbxx_1_1Finding.html#a401bb995db96c3443072ee14da083dd0',1,'filedbxx::Finding::severity()']]],
  ['struct_5fsize_1',['struct_size',['../structfiledb__error.html#a2f95db8ae321dd556d8e2a45cceac2fa',1,'filedb_error::struct_size()'],['../structfiledb__put__options.html#a656c84faccb6f3069e831d51b5a69860',1,'filedb_put_options::struct_size()'],['../structfiledb__range.html#a0b8124ff1a3511c6f4be64e1ee341fae',1,'filedb_range::struct_size()'],['../structfiledb__store__stats.html#a3708ed8eeff4dc4b9c452276d5cccafc',1,'filedb_store_stats::struct_size()'],['../structfiledb__finding.html#af29fd56f2de1e88de37bfe8c1748b7a8',1,'filedb_finding::struct_size()'],['../structfiledb__check__report.html#a162f27ab9237045b7e1e7da620dc1684',1,'filedb_check_report::struct_size()']]],
  ['sync_5fnanos_2',['sync_nanos',['../structfiledb__store__stats.html#a9400b2f2c13db3d35d35ccbe3349d4b6',1,'filedb_store_stats']]],
  ['syncs_3',['syncs',['../structfiledb__store__stats.html#a17c309bd9f3a8d91f1884b0e35fae80e',1,'filedb_store_stats']]]
];
