var searchData=
[
  ['list_5fget_0',['list_get',['../classfiledbxx_1_1Store.html#a39260b6780fc292dc9b24b2ad9cb1ede',1,'filedbxx::Store']]],
  ['list_5frange_1',['list_range',['../classfiledbxx_1_1Store.html#a54d435800d6d5f0f692f07c3b5209842',1,'filedbxx::Store']]],
  ['list_5fset_2',['list_set',['../classfiledbxx_1_1Store.html#a90c83023d8e3c69d7a5d3bbd9908c213',1,'filedbxx::Store']]],
  ['list_5fsize_3',['list_size',['../classfiledbxx_1_1Store.html#af37121fff531e7fb8df9dc52cd2a4423',1,'filedbxx::Store']]],
  ['log_4',['log',['../classfiledbxx_1_1Options.html#a3d4e98fb1a2802aad08e207f5a95c533',1,'filedbxx::Options']]]
];
