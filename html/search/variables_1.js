var searchData=
[
  ['bytes_0',['bytes',['../structfiledb__check__report.html#af1110e12498f6915227556aa734a11f3',1,'filedb_check_report']]]
];
