var searchData=
[
  ['batch_0',['Batch',['../classfiledbxx_1_1Batch.html#ad930f4f79786d72007992599d4fd93b2',1,'filedbxx::Batch']]],
  ['begin_1',['begin',['../classfiledbxx_1_1Keys.html#a21d4d741496aafd2abf9145a1ef79bc7',1,'filedbxx::Keys::begin()'],['../classfiledbxx_1_1Iterator.html#a1ac15d62dc5a97625c8e0cd910f5ddb1',1,'filedbxx::Iterator::begin()']]],
  ['bytes_5fof_2',['bytes_of',['../namespacefiledbxx.html#ae05ee6072eb1fdd5f97a8d051adda8d0',1,'filedbxx']]]
];
