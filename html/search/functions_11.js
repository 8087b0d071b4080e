var searchData=
[
  ['value_0',['value',['../classfiledbxx_1_1Result.html#a7c7427fee7ef381e352b2970820b619d',1,'filedbxx::Result::value() &amp;'],['../classfiledbxx_1_1Result.html#a07acf4d97f7c74dfa1c9e914981e302f',1,'filedbxx::Result::value() const &amp;'],['../classfiledbxx_1_1Result.html#ae2bbc882d256b3bcd575d3b9ecb60b59',1,'filedbxx::Result::value() &amp;&amp;'],['../classfiledbxx_1_1Result_3_01void_01_4.html#ae7a86fd9dee0b623967a03639499043a',1,'filedbxx::Result&lt; void &gt;::value()']]],
  ['value_5for_1',['value_or',['../classfiledbxx_1_1Result.html#a0d6b99d999594acc265e003691679bc2',1,'filedbxx::Result']]],
  ['version_2',['version',['../namespacefiledbxx.html#afa20643638350f4327c59bad1215762c',1,'filedbxx']]],
  ['version_5fnumber_3',['version_number',['../namespacefiledbxx.html#a4a591c936040162f639345855f9314f4',1,'filedbxx']]],
  ['view_4',['view',['../classfiledbxx_1_1Pinned.html#a227a76a92cf3b566bf8e0c57fca15971',1,'filedbxx::Pinned']]]
];
