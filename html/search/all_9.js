var searchData=
[
  ['keep_5fttl_0',['keep_ttl',['../classfiledbxx_1_1PutOptions.html#adc2c35d8fe762dabf659b4624ba59aaa',1,'filedbxx::PutOptions']]],
  ['key_1',['key',['../structfiledb__finding.html#a1a062d2c2424f7b982ef1f3dc143cd68',1,'filedb_finding::key()'],['../structfiledbxx_1_1Entry.html#a81b659d41e3a2aeb6e9af9a194c57953',1,'filedbxx::Entry::key()'],['../structfiledbxx_1_1Finding.html#a2540eb66f6dcc2a41cf9004af486acb1',1,'filedbxx::Finding::key()']]],
  ['key_5flen_2',['key_len',['../structfiledb__finding.html#a84d99c09077fe5d11505fbc02214a720',1,'filedb_finding']]],
  ['keys_3',['Keys',['../classfiledbxx_1_1Keys.html',1,'filedbxx']]],
  ['keys_4',['keys',['../structfiledb__store__stats.html#a6a02f954ee234296c55e3ac7c38a8298',1,'filedb_store_stats::keys()'],['../structfiledb__check__report.html#adb22428f2a6c5d8a2d5087e100aa0386',1,'filedb_check_report::keys()'],['../classfiledbxx_1_1Store.html#a10776dde20baa92e66e2310a2b698e51',1,'filedbxx::Store::keys()']]],
  ['keys_5',['Keys',['../classfiledbxx_1_1Keys.html#ac8d39971d1e8733f3f592cc5fb8b42ac',1,'filedbxx::Keys::Keys(filedb_slice_t *keys, std::size_t size) noexcept'],['../classfiledbxx_1_1Keys.html#af0c0e1fa1cc533da7c9e6e4305bf48e5',1,'filedbxx::Keys::Keys(Keys &amp;&amp;other) noexcept']]],
  ['keys_5flost_6',['keys_lost',['../structfiledb__check__report.html#aa340395287a5f62d4ba34a3c4d8bf477',1,'filedb_check_report']]]
];
