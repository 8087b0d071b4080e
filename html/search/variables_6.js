var searchData=
[
  ['help_0',['help',['../structfiledbxx_1_1OptionInfo.html#aca04aa45248ed2e6c35109669ec3b18b',1,'filedbxx::OptionInfo']]]
];
