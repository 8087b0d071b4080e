var searchData=
[
  ['records_0',['records',['../structfiledb__check__report.html#a4bb2c7c199f33603e4c7b9958de305f7',1,'filedb_check_report']]],
  ['reserved_1',['reserved',['../structfiledb__error.html#a2f6be2186b93cc6e77ebdb638ab009f2',1,'filedb_error']]],
  ['reverse_2',['reverse',['../structfiledbxx_1_1Range.html#ad1533fa8619422ba90dcf8e04457eb39',1,'filedbxx::Range']]]
];
