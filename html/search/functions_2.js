var searchData=
[
  ['data_0',['data',['../classfiledbxx_1_1Pinned.html#abd8bda0184acabf61c1aa660be745454',1,'filedbxx::Pinned']]],
  ['describe_5foptions_1',['describe_options',['../namespacefiledbxx.html#afe28070df24fe0f934e2bced587de6d6',1,'filedbxx']]]
];
