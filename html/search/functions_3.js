var searchData=
[
  ['empty_0',['empty',['../classfiledbxx_1_1Keys.html#ad5cea42b21fe7a761805586cf8ec72fd',1,'filedbxx::Keys']]],
  ['end_1',['end',['../classfiledbxx_1_1Keys.html#af2a863e2374c43651239780b33eaf7e0',1,'filedbxx::Keys::end()'],['../classfiledbxx_1_1Iterator.html#a92b6115493043fb52e2a1c908a82d5c3',1,'filedbxx::Iterator::end()']]],
  ['erase_2',['erase',['../classfiledbxx_1_1Batch.html#a09381077d9561258bf13337e12febe94',1,'filedbxx::Batch::erase()'],['../classfiledbxx_1_1Store.html#a9e772a96c7d3d40218140df422b25130',1,'filedbxx::Store::erase(std::string_view key)']]],
  ['erase_5frange_3',['erase_range',['../classfiledbxx_1_1Store.html#a46509a0c8ad9983649bcbd4552ee1c8c',1,'filedbxx::Store']]],
  ['error_4',['Error',['../classfiledbxx_1_1Error.html#ac92e03a86a4e82dc677247051e678ae5',1,'filedbxx::Error::Error(filedb_status_t code, std::string message)'],['../classfiledbxx_1_1Error.html#a984e3044dd6f27324ecab676a4e6d524',1,'filedbxx::Error::Error(filedb_status_t code, const filedb_error_t &amp;said)']]],
  ['error_5',['error',['../classfiledbxx_1_1Exception.html#a32071f6638109a9780db2fe9250cbe46',1,'filedbxx::Exception::error()'],['../classfiledbxx_1_1Result.html#ad8d005710ed00efa4de91cc8bc16bd30',1,'filedbxx::Result::error()'],['../classfiledbxx_1_1Result_3_01void_01_4.html#a80b34658f8dbb1097b0d91a30b13755a',1,'filedbxx::Result&lt; void &gt;::error()'],['../classfiledbxx_1_1Options.html#a810f844f3f49fadcda7dbed2fb2f7fa0',1,'filedbxx::Options::error()']]],
  ['exception_6',['Exception',['../classfiledbxx_1_1Exception.html#a094e8f8e9428e7b38dc03abe3a40f7ed',1,'filedbxx::Exception']]],
  ['expire_7',['expire',['../classfiledbxx_1_1Store.html#a6c0dcff124d660fb9ac6663b54e906f0',1,'filedbxx::Store']]],
  ['expires_5fin_8',['expires_in',['../classfiledbxx_1_1PutOptions.html#acb04bcea53eebe372f11386594f3243d',1,'filedbxx::PutOptions']]]
];
