// The same as main.c, in C++ and with filedb.hpp.
#include <filedb.hpp>
#include <iostream>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  try {
    auto db = filedbxx::Store::open(argv[1]);
    db.put("key", "value");
    if (db.get_pinned("key")->view() != "value") return 1;
    db.close();
  } catch (const filedbxx::Exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  std::cout << filedbxx::version() << '\n';
}
