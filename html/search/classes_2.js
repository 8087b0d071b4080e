var searchData=
[
  ['filedb_5fcheck_5freport_0',['filedb_check_report',['../structfiledb__check__report.html',1,'']]],
  ['filedb_5ferror_1',['filedb_error',['../structfiledb__error.html',1,'']]],
  ['filedb_5ffinding_2',['filedb_finding',['../structfiledb__finding.html',1,'']]],
  ['filedb_5fpinned_3',['filedb_pinned',['../structfiledb__pinned.html',1,'']]],
  ['filedb_5fput_5foptions_4',['filedb_put_options',['../structfiledb__put__options.html',1,'']]],
  ['filedb_5frange_5',['filedb_range',['../structfiledb__range.html',1,'']]],
  ['filedb_5fslice_6',['filedb_slice',['../structfiledb__slice.html',1,'']]],
  ['filedb_5fstore_5fstats_7',['filedb_store_stats',['../structfiledb__store__stats.html',1,'']]],
  ['finding_8',['Finding',['../structfiledbxx_1_1Finding.html',1,'filedbxx']]]
];
