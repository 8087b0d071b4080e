var searchData=
[
  ['salvage_0',['salvage',['../namespacefiledbxx.html#a6e2c30c11de56b59d468acf65985b211',1,'filedbxx']]],
  ['scan_1',['scan',['../classfiledbxx_1_1Store.html#a40d18bbaed564a95493c6947b4bfdb9c',1,'filedbxx::Store']]],
  ['seek_2',['seek',['../classfiledbxx_1_1Iterator.html#ac6a4a0f861cf78f7d09a6497eb752d7c',1,'filedbxx::Iterator']]],
  ['set_3',['set',['../classfiledbxx_1_1Options.html#ab647be5eafe08db9e1546103b12fc5de',1,'filedbxx::Options::set(std::string_view name, const char *value) &amp;'],['../classfiledbxx_1_1Options.html#a71ba5dc739bd47b1a28121a6377bf5cf',1,'filedbxx::Options::set(std::string_view name, Number value) &amp;'],['../classfiledbxx_1_1Options.html#a34ad319dcc74aec8be93775607b9741a',1,'filedbxx::Options::set(std::string_view name, std::chrono::duration&lt; Rep, Period &gt; value) &amp;'],['../classfiledbxx_1_1Options.html#a2b3b61413119974695c41299e8441435',1,'filedbxx::Options::set(std::string_view name, const Value &amp;value) &amp;&amp;'],['../classfiledbxx_1_1Options.html#a2ba50cb2cc166353ed923ddd00bb5acb',1,'filedbxx::Options::set(std::string_view name, std::string_view value) &amp;']]],
  ['set_5flog_4',['set_log',['../classfiledbxx_1_1Options.html#a5d437ff9e5ec9d10c972985a6cf4fbd1',1,'filedbxx::Options::set_log(Log log) &amp;'],['../classfiledbxx_1_1Options.html#a6bb8f55723c7d92ae501c254ec7b168a',1,'filedbxx::Options::set_log(Log log) &amp;&amp;']]],
  ['size_5',['size',['../classfiledbxx_1_1Pinned.html#a9d5020c9483d0a59b98438db6333adcc',1,'filedbxx::Pinned::size()'],['../classfiledbxx_1_1Keys.html#a16976a58ea7dbcb17a2e4fc5cb16c72c',1,'filedbxx::Keys::size()'],['../classfiledbxx_1_1Store.html#a548c5c344831299da8c69115362195b0',1,'filedbxx::Store::size() const']]],
  ['sorted_5fkeys_6',['sorted_keys',['../classfiledbxx_1_1Store.html#a4ce7cf60254b02842609e7fcdb55545a',1,'filedbxx::Store']]],
  ['stats_7',['stats',['../classfiledbxx_1_1Store.html#a697cad94cb7912f542b6972904828766',1,'filedbxx::Store']]],
  ['store_8',['Store',['../classfiledbxx_1_1Store.html#aa54de98c2e66ef082f1fd01cae0a083b',1,'filedbxx::Store']]],
  ['sync_9',['sync',['../classfiledbxx_1_1PutOptions.html#a5c020df10640f6f3281412419dbbc17e',1,'filedbxx::PutOptions::sync()'],['../classfiledbxx_1_1Store.html#ae55174c7d26b1c8c3105ed5eac679cc3',1,'filedbxx::Store::sync()']]]
];
