var searchData=
[
  ['value_0',['value',['../structfiledbxx_1_1Entry.html#a08fbad78f1c1f1efe87b956dde7f8a1b',1,'filedbxx::Entry']]],
  ['values_1',['values',['../structfiledbxx_1_1OptionInfo.html#a9e51c4ad59c2e45d82052dd973cee86d',1,'filedbxx::OptionInfo']]]
];
