var searchData=
[
  ['key_0',['key',['../structfiledb__finding.html#a1a062d2c2424f7b982ef1f3dc143cd68',1,'filedb_finding::key()'],['../structfiledbxx_1_1Entry.html#a81b659d41e3a2aeb6e9af9a194c57953',1,'filedbxx::Entry::key()'],['../structfiledbxx_1_1Finding.html#a2540eb66f6dcc2a41cf9004af486acb1',1,'filedbxx::Finding::key()']]],
  ['key_5flen_1',['key_len',['../structfiledb__finding.html#a84d99c09077fe5d11505fbc02214a720',1,'filedb_finding']]],
  ['keys_2',['keys',['../structfiledb__store__stats.html#a6a02f954ee234296c55e3ac7c38a8298',1,'filedb_store_stats::keys()'],['../structfiledb__check__report.html#adb22428f2a6c5d8a2d5087e100aa0386',1,'filedb_check_report::keys()']]],
  ['keys_5flost_3',['keys_lost',['../structfiledb__check__report.html#aa340395287a5f62d4ba34a3c4d8bf477',1,'filedb_check_report']]]
];
