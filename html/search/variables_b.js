var searchData=
[
  ['name_0',['name',['../structfiledbxx_1_1OptionInfo.html#adffc46610e2177cc9c421054230985e5',1,'filedbxx::OptionInfo']]],
  ['no_5fexpiry_1',['no_expiry',['../namespacefiledbxx.html#aa3c462834ea2828a8820e9fb4cb21a4d',1,'filedbxx']]]
];
