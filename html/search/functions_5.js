var searchData=
[
  ['get_0',['get',['../classfiledbxx_1_1Options.html#aa225a70f7016dde99454f89d7abf17d2',1,'filedbxx::Options::get()'],['../classfiledbxx_1_1Store.html#af7cc1a288fca51c126d3144f7bc58128',1,'filedbxx::Store::get(std::string_view key) const']]],
  ['get_5fas_1',['get_as',['../classfiledbxx_1_1Store.html#a751ad108cfb4580a643573b626a29e42',1,'filedbxx::Store']]],
  ['get_5ferase_2',['get_erase',['../classfiledbxx_1_1Store.html#ad91641fbb2ec5e9a941f3fda9bcd0038',1,'filedbxx::Store']]],
  ['get_5finto_3',['get_into',['../classfiledbxx_1_1Store.html#a19c9585b94ca333c4dd80259e94a576b',1,'filedbxx::Store']]],
  ['get_5fmany_4',['get_many',['../classfiledbxx_1_1Store.html#a0d6870e7f485f86be253d36eefbace75',1,'filedbxx::Store::get_many(const Range &amp;keys) const'],['../classfiledbxx_1_1Store.html#a7abbc38328c1248de34c34b18759d570',1,'filedbxx::Store::get_many(std::initializer_list&lt; Text &gt; keys) const']]],
  ['get_5fpinned_5',['get_pinned',['../classfiledbxx_1_1Store.html#a760f185c82634c4ba35a658472ea2d66',1,'filedbxx::Store']]]
];
