// Short names for long addresses: shortener STORE add NAME URL SECONDS | visit NAME TIMES | list
// A name ends by itself. Four threads visit at once; a hit that was printed is never lost, whoever is killed.
#include <filedb.hpp>

#include <chrono>
#include <future>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

using filedbxx::PutOptions, filedbxx::Store;

static void add(Store &db, const std::string &name, const std::string &url, std::chrono::seconds life) {
  if (!db.put("url/" + name, url, PutOptions().if_absent().expires_in(life))) {
    throw std::runtime_error(name + " is taken");
  }
}

static void visit(Store &db, const std::string &name, int times) {
  for (int i = 0; i < times; i++) {
    const auto url = db.get("url/" + name);
    if (!url) throw std::runtime_error("there is no " + name);
    const auto hits = db.increment("hits/" + name, 1);
    std::cout << *url + " " + std::to_string(hits) + "\n" << std::flush;  // one piece: threads do not mix
  }
}

static void list(const Store &db) {
  for (const std::string_view key : db.sorted_keys("url/")) std::cout << key.substr(4) << '\n';
}

int main(int argc, char **argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 2) throw std::invalid_argument("STORE add NAME URL SECONDS | visit NAME TIMES | list");
  auto db = Store::open(words[0]);
  if (words[1] == "add") add(db, words.at(2), words.at(3), std::chrono::seconds(std::stoll(words.at(4))));
  if (words[1] == "list") list(db);
  if (words[1] == "visit") {
    std::vector<std::future<void>> threads;
    for (int i = 0; i < 4; i++) {
      threads.push_back(std::async(std::launch::async, visit, std::ref(db), words.at(2), std::stoi(words.at(3))));
    }
    for (auto &thread : threads) thread.get();  // throws what the thread threw
  }
  db.close();
  return 0;
} catch (const std::exception &why) {
  std::cerr << "shortener: " << why.what() << '\n';
  return 1;
}
