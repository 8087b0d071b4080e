var searchData=
[
  ['persist_0',['persist',['../classfiledbxx_1_1Store.html#a579d9b6b7a1dceb534f5576630299e93',1,'filedbxx::Store']]],
  ['pin_1',['pin',['../structfiledb__pinned.html#ae88c6c51960cd0e394a713c4818d3568',1,'filedb_pinned']]],
  ['pinned_2',['Pinned',['../classfiledbxx_1_1Pinned.html',1,'filedbxx::Pinned'],['../classfiledbxx_1_1Pinned.html#a6f4764143d508baeadd0e2012e50d504',1,'filedbxx::Pinned::Pinned() noexcept'],['../classfiledbxx_1_1Pinned.html#a7325227abc32d7440bed887e01ce21d0',1,'filedbxx::Pinned::Pinned(filedb_pinned_t pinned) noexcept'],['../classfiledbxx_1_1Pinned.html#abbe6389dd64be8dd31940b56e136e15e',1,'filedbxx::Pinned::Pinned(Pinned &amp;&amp;other) noexcept']]],
  ['pop_5fback_3',['pop_back',['../classfiledbxx_1_1Store.html#a59218772bfe552f8b72b190905f8aec5',1,'filedbxx::Store']]],
  ['pop_5ffront_4',['pop_front',['../classfiledbxx_1_1Store.html#a3eaabe13b31c69cd62c0c20f724cd268',1,'filedbxx::Store']]],
  ['push_5fback_5',['push_back',['../classfiledbxx_1_1Batch.html#a837580302afa82a1f2bf906b4b3d0464',1,'filedbxx::Batch::push_back()'],['../classfiledbxx_1_1Store.html#ad73e3fb4abef1e563e581cb850f4e8a8',1,'filedbxx::Store::push_back()']]],
  ['push_5ffront_6',['push_front',['../classfiledbxx_1_1Batch.html#a50d03ede1ff28fd53b3ef076c8e4396f',1,'filedbxx::Batch::push_front()'],['../classfiledbxx_1_1Store.html#ac47c6408893d04c7dd58909e14184512',1,'filedbxx::Store::push_front(std::string_view key, std::string_view value)']]],
  ['put_7',['put',['../classfiledbxx_1_1Store.html#a96658b97cebf5a173de08e6338e7ccf8',1,'filedbxx::Store::put(std::string_view key, std::string_view value, const PutOptions &amp;more)'],['../classfiledbxx_1_1Store.html#a426986e9fbfecc565d0f002a4f7cfc85',1,'filedbxx::Store::put(std::string_view key, std::string_view value)'],['../classfiledbxx_1_1Batch.html#a10a66460159412d2da6acbea1427e509',1,'filedbxx::Batch::put(std::string_view key, std::string_view value, const PutOptions &amp;more)'],['../classfiledbxx_1_1Batch.html#af1e12585476c26c6d7f2fcb8818fc796',1,'filedbxx::Batch::put(std::string_view key, std::string_view value)']]],
  ['putoptions_8',['PutOptions',['../classfiledbxx_1_1PutOptions.html',1,'filedbxx']]]
];
