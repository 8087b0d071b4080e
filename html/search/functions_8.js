var searchData=
[
  ['keep_5fttl_0',['keep_ttl',['../classfiledbxx_1_1PutOptions.html#adc2c35d8fe762dabf659b4624ba59aaa',1,'filedbxx::PutOptions']]],
  ['keys_1',['keys',['../classfiledbxx_1_1Store.html#a10776dde20baa92e66e2310a2b698e51',1,'filedbxx::Store']]],
  ['keys_2',['Keys',['../classfiledbxx_1_1Keys.html#ac8d39971d1e8733f3f592cc5fb8b42ac',1,'filedbxx::Keys::Keys(filedb_slice_t *keys, std::size_t size) noexcept'],['../classfiledbxx_1_1Keys.html#af0c0e1fa1cc533da7c9e6e4305bf48e5',1,'filedbxx::Keys::Keys(Keys &amp;&amp;other) noexcept']]]
];
