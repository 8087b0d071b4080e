var searchData=
[
  ['object_5fof_0',['object_of',['../namespacefiledbxx.html#af669a3367ce892a0008a8f0292b8292a',1,'filedbxx']]],
  ['offset_1',['offset',['../classfiledbxx_1_1Error.html#a44dc4a40d1de4ffe02f577c52d3341db',1,'filedbxx::Error']]],
  ['open_2',['open',['../classfiledbxx_1_1Store.html#a44c4133a8a0073d485d760e385c2b87b',1,'filedbxx::Store::open(std::string_view path, const Options &amp;options=Options())'],['../classfiledbxx_1_1Store.html#a1cfeb47459d56e0799344f79ee022b6d',1,'filedbxx::Store::open(const Path &amp;path, const Options &amp;options=Options())']]],
  ['operator_20bool_3',['operator bool',['../classfiledbxx_1_1Result_3_01void_01_4.html#ad0a453ee951bc4c22ca2ba79f65e8afd',1,'filedbxx::Result&lt; void &gt;::operator bool()'],['../classfiledbxx_1_1Result.html#aedd5503ca7f29e552531cc7e28c2a2f4',1,'filedbxx::Result::operator bool() const noexcept']]],
  ['operator_2a_4',['operator*',['../classfiledbxx_1_1Result.html#abbd6c15136d9ffe2ae74760eced1cb2a',1,'filedbxx::Result::operator*() &amp;'],['../classfiledbxx_1_1Result.html#a60ff3b59861fe6b768df1c76d4c56f96',1,'filedbxx::Result::operator*() const &amp;'],['../classfiledbxx_1_1Result.html#a7089ca0144bc381e7806a9cf256190a8',1,'filedbxx::Result::operator*() &amp;&amp;']]],
  ['operator_2d_3e_5',['operator-&gt;',['../classfiledbxx_1_1Result.html#aa91cbdd9c31b95064fb4dc0177079f1f',1,'filedbxx::Result::operator-&gt;()'],['../classfiledbxx_1_1Result.html#a67501f9f8aa08e150c01394b7d874517',1,'filedbxx::Result::operator-&gt;() const']]],
  ['operator_3d_6',['operator=',['../classfiledbxx_1_1Options.html#a7151a36ff01c2e79986e613fd1d4f49a',1,'filedbxx::Options::operator=()'],['../classfiledbxx_1_1Pinned.html#ab8e945dcc5e8da6f4962a68601b04808',1,'filedbxx::Pinned::operator=()'],['../classfiledbxx_1_1Keys.html#a58856a3e4521a9b375cac007fa693417',1,'filedbxx::Keys::operator=()'],['../classfiledbxx_1_1Store.html#ac22757f0ebfb48de3308f3161a886201',1,'filedbxx::Store::operator=()']]],
  ['operator_5b_5d_7',['operator[]',['../classfiledbxx_1_1Keys.html#ae05e3c0c9c676f528a0feba04824b8e2',1,'filedbxx::Keys']]],
  ['options_8',['Options',['../classfiledbxx_1_1Options.html#a7a86319d46fcda3b51ecb94516c8cd59',1,'filedbxx::Options::Options()'],['../classfiledbxx_1_1Options.html#a26cfd11cbc4760a8b13901196ba65fdb',1,'filedbxx::Options::Options(Options &amp;&amp;other) noexcept=default']]],
  ['options_9',['options',['../classfiledbxx_1_1PutOptions.html#a382c715a61216325d8702a0f2ebcb815',1,'filedbxx::PutOptions']]],
  ['os_5ferrno_10',['os_errno',['../classfiledbxx_1_1Error.html#a916b9daec44a00a824f1681a5383c037',1,'filedbxx::Error']]],
  ['string_5fview_11',['string_view',['../classfiledbxx_1_1Pinned.html#af8ed7c2df6944665855b86f7877535bc',1,'filedbxx::Pinned']]]
];
