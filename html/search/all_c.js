var searchData=
[
  ['name_0',['name',['../structfiledbxx_1_1OptionInfo.html#adffc46610e2177cc9c421054230985e5',1,'filedbxx::OptionInfo']]],
  ['next_1',['next',['../classfiledbxx_1_1Iterator.html#a1c5764fb0c890340e60669f28528ace3',1,'filedbxx::Iterator']]],
  ['next_5fbatch_2',['next_batch',['../classfiledbxx_1_1Iterator.html#abfa547858ffe26543bb1f1290131105a',1,'filedbxx::Iterator']]],
  ['no_5fexpiry_3',['no_expiry',['../namespacefiledbxx.html#aa3c462834ea2828a8820e9fb4cb21a4d',1,'filedbxx']]]
];
