var searchData=
[
  ['file_0',['file',['../structfiledb__finding.html#a51925ca730b2123323872acbf18befad',1,'filedb_finding::file()'],['../structfiledbxx_1_1Finding.html#ad37b2d3d65982699c183760667266d51',1,'filedbxx::Finding::file()']]],
  ['file_5fid_1',['file_id',['../structfiledb__error.html#a93281abb1feda537fae8984c7355ef28',1,'filedb_error']]],
  ['files_2',['files',['../structfiledb__store__stats.html#a26e192d396d4bec126b79adfdc246bdb',1,'filedb_store_stats::files()'],['../structfiledb__check__report.html#a5c4896fbd9618458198759cd32374b3e',1,'filedb_check_report::files()']]],
  ['flags_3',['flags',['../structfiledb__put__options.html#ae3c455809756ea9e1f81044d6bff9c0c',1,'filedb_put_options::flags()'],['../structfiledb__range.html#a6c5e7522ea654e69688130616c6fac0a',1,'filedb_range::flags()']]],
  ['from_4',['from',['../structfiledb__range.html#a0eab1017b8cf1c80f8c9f5f676a1d72c',1,'filedb_range::from()'],['../structfiledbxx_1_1Range.html#ac3bed941031db9335cf60416380d12e7',1,'filedbxx::Range::from()']]],
  ['from_5fexcluded_5',['from_excluded',['../structfiledbxx_1_1Range.html#a9e37517165dc5a1f7106ff07268098f9',1,'filedbxx::Range']]]
];
