var searchData=
[
  ['to_0',['to',['../structfiledb__range.html#a67aabe92685cefa248553d024a8bf05e',1,'filedb_range::to()'],['../structfiledbxx_1_1Range.html#af6b2298044332deaaf5a5f6421b11c1a',1,'filedbxx::Range::to()']]],
  ['to_5fincluded_1',['to_included',['../structfiledbxx_1_1Range.html#a73d9c3decdee6266465d6917392ce5d4',1,'filedbxx::Range']]],
  ['ttl_5fms_2',['ttl_ms',['../structfiledb__put__options.html#aeb1e62860b1bdb6a5a8f6e8aa9b76203',1,'filedb_put_options']]]
];
