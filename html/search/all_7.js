var searchData=
[
  ['handle_0',['handle',['../classfiledbxx_1_1Options.html#afb0d2f1d53eb65b0cb9712b094f39857',1,'filedbxx::Options::handle()'],['../classfiledbxx_1_1Batch.html#ad5c280e3015d64cc236ffcd60e26db76',1,'filedbxx::Batch::handle()'],['../classfiledbxx_1_1Store.html#ad8664a13a45a890966d7ca3cf8f293c2',1,'filedbxx::Store::handle()']]],
  ['has_5fvalue_1',['has_value',['../classfiledbxx_1_1Result.html#a6b76a265408a36aa144e961f9c264e1c',1,'filedbxx::Result::has_value()'],['../classfiledbxx_1_1Result_3_01void_01_4.html#aa786cfbf967f22025cfdcb6c4510cca0',1,'filedbxx::Result&lt; void &gt;::has_value()']]],
  ['help_2',['help',['../structfiledbxx_1_1OptionInfo.html#aca04aa45248ed2e6c35109669ec3b18b',1,'filedbxx::OptionInfo']]]
];
