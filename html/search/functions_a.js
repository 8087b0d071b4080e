var searchData=
[
  ['merge_0',['merge',['../classfiledbxx_1_1Store.html#a8256a8feddbc58c131ba2c3a4216b756',1,'filedbxx::Store']]],
  ['message_1',['message',['../classfiledbxx_1_1Error.html#a8d8c5cd8b41b62cfd206a76fb84ec15b',1,'filedbxx::Error']]],
  ['missing_2',['missing',['../classfiledbxx_1_1Batch.html#acd46aa3330689b180baef93ae46bb08c',1,'filedbxx::Batch']]]
];
