var searchData=
[
  ['next_0',['next',['../classfiledbxx_1_1Iterator.html#a1c5764fb0c890340e60669f28528ace3',1,'filedbxx::Iterator']]],
  ['next_5fbatch_1',['next_batch',['../classfiledbxx_1_1Iterator.html#abfa547858ffe26543bb1f1290131105a',1,'filedbxx::Iterator']]]
];
