var searchData=
[
  ['optioninfo_0',['OptionInfo',['../structfiledbxx_1_1OptionInfo.html',1,'filedbxx']]],
  ['options_1',['Options',['../classfiledbxx_1_1Options.html',1,'filedbxx']]]
];
