var searchData=
[
  ['value_0',['value',['../structfiledbxx_1_1Entry.html#a08fbad78f1c1f1efe87b956dde7f8a1b',1,'filedbxx::Entry::value()'],['../classfiledbxx_1_1Result.html#a7c7427fee7ef381e352b2970820b619d',1,'filedbxx::Result::value() &amp;'],['../classfiledbxx_1_1Result.html#a07acf4d97f7c74dfa1c9e914981e302f',1,'filedbxx::Result::value() const &amp;'],['../classfiledbxx_1_1Result.html#ae2bbc882d256b3bcd575d3b9ecb60b59',1,'filedbxx::Result::value() &amp;&amp;'],['../classfiledbxx_1_1Result_3_01void_01_4.html#ae7a86fd9dee0b623967a03639499043a',1,'filedbxx::Result&lt; void &gt;::value()']]],
  ['value_5for_1',['value_or',['../classfiledbxx_1_1Result.html#a0d6b99d999594acc265e003691679bc2',1,'filedbxx::Result']]],
  ['value_5ftype_2',['value_type',['../classfiledbxx_1_1Result.html#a9a3233abd37411091f73ea01418ad740',1,'filedbxx::Result::value_type()'],['../classfiledbxx_1_1Result_3_01void_01_4.html#aeadd3f5050b5a9042bc4924da7f16bbd',1,'filedbxx::Result&lt; void &gt;::value_type()']]],
  ['values_3',['values',['../structfiledbxx_1_1OptionInfo.html#a9e51c4ad59c2e45d82052dd973cee86d',1,'filedbxx::OptionInfo']]],
  ['version_4',['version',['../namespacefiledbxx.html#afa20643638350f4327c59bad1215762c',1,'filedbxx']]],
  ['version_5fnumber_5',['version_number',['../namespacefiledbxx.html#a4a591c936040162f639345855f9314f4',1,'filedbxx']]],
  ['view_6',['view',['../classfiledbxx_1_1Pinned.html#a227a76a92cf3b566bf8e0c57fca15971',1,'filedbxx::Pinned']]]
];
