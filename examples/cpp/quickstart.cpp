// A tour of filedb in C++: quickstart DIR. It keeps a few accounts in a store, and moves money between them.
#include <filedb.hpp>

#include <charconv>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

namespace {

long balance(const filedbxx::Store &db, std::string_view account) {
  // A value where it lies: nothing is copied, and it stays as it is while `value` lives.
  const auto value = db.get_pinned(account);
  if (!value) throw std::invalid_argument("there is no account '" + std::string(account) + "'");
  long amount = 0;
  std::from_chars(value->data(), value->data() + value->size(), amount);
  return amount;
}

// All or nothing, also if the power fails in the middle of it.
void transfer(filedbxx::Store &db, std::string_view from, std::string_view to, long amount) {
  const long left = balance(db, from) - amount, right = balance(db, to) + amount;
  if (left < 0) throw std::runtime_error(std::string(from) + " does not have that much");
  filedbxx::Batch batch;
  batch.put(from, std::to_string(left)).put(to, std::to_string(right));
  db.write(batch);
}

void tour(const std::string &directory) {
  auto db = filedbxx::Store::open(directory, filedbxx::Options().set("sync", "always").set("sync_interval_ms", 250ms));

  // Conditions: the accounts are opened once, however often this program runs.
  for (const char *account : {"account/alice", "account/bob"}) {
    const bool is_new = db.put(account, "100", filedbxx::PutOptions().if_absent());
    std::cout << account << (is_new ? " was opened\n" : " was there\n");
  }
  transfer(db, "account/alice", "account/bob", 10);

  // A walk sees the store as it is now, whatever is written meanwhile.
  for (const auto &[account, amount] : db.scan("account/")) std::cout << account << " has " << amount << '\n';

  // What is absent is an answer, not an error.
  std::cout << "carol has " << db.get("account/carol").value_or("no account") << '\n';

  // A session that ends by itself.
  db.put("session/7", "alice", filedbxx::PutOptions().expires_in(15min));
  if (const auto left = db.ttl("session/7")) std::cout << "the session ends in " << (*left + 59s) / 1min << " minutes\n";

  // Errors are exceptions ...
  try {
    transfer(db, "account/alice", "account/carol", 10);
  } catch (const std::invalid_argument &why) {
    std::cout << "not transferred: " << why.what() << '\n';
  }
  // ... or results, for those who would rather look.
  if (const auto written = db.try_put("", "a key must not be empty"); !written) {
    std::cout << "not written: " << written.error().message() << '\n';
  }
  db.close();  // the destructor does so too, but cannot say what went wrong
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::cerr << "usage: quickstart DIR\n";
    return 2;
  }
  try {
    tour(argv[1]);
  } catch (const std::exception &why) {
    std::cerr << why.what() << '\n';
    return 1;
  }
}
