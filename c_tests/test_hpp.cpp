// filedb.hpp: every verb in both forms, who owns what, and what is thrown. Compiles with -fno-exceptions too, and then tests
// what is left.
#include "filedb.hpp"
#include "filedb.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#if __has_include(<ranges>)
#include <ranges>
#endif
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using filedbxx::Batch;
using filedbxx::Options;
using filedbxx::PutOptions;
using filedbxx::Store;

int passed = 0, failed = 0, failed_here = 0;

void check(bool holds, const char *what, int line) {
  if (holds) return;
  std::printf("  test_hpp.cpp:%d: not so: %s\n", line, what);
  failed_here++;
}
#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__, __LINE__)

struct TempDir {
  std::filesystem::path path;
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "filedb-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
  }
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string store() const { return (path / "store").string(); }
};

Store open(const TempDir &dir, const Options &options = Options()) {
  auto opened = Store::try_open(dir.store(), options);
  if (!opened) {
    std::printf("  open: %s\n", opened.error().message().c_str());
    std::abort();
  }
  return std::move(opened).value();
}

template <class T>
constexpr bool only_moves = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                            !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(only_moves<Store> && only_moves<Batch> && only_moves<filedbxx::Pinned> && only_moves<filedbxx::Keys>);
static_assert(std::is_move_constructible_v<filedbxx::Iterator> && !std::is_copy_constructible_v<filedbxx::Iterator>);
static_assert(only_moves<Options> && !std::is_copy_assignable_v<filedbxx::Iterator>);
static_assert(std::is_nothrow_move_assignable_v<filedbxx::Iterator>);
static_assert(std::is_copy_constructible_v<filedbxx::Error>);

std::map<std::string, std::string> contents(const Store &db) {
  std::map<std::string, std::string> all;
  auto walk = db.try_scan().value();
  for (auto [key, value] : walk) all.emplace(key, value);
  CHECK(walk.result().has_value());
  return all;
}

void every_verb_answers_with_a_result() {
  for (const char *io : {"mmap", "pread"}) {
    TempDir dir;
    Store db = open(dir, Options().set("io", io));
    CHECK(db.try_put("a", "1").has_value());
    CHECK(db.try_put("b", "").has_value());
    CHECK(*db.try_get("a") == "1" && *db.try_get("b") == "" && *db.try_get("c") == std::nullopt);
    CHECK(*db.try_contains("a") && !*db.try_contains("c"));
    CHECK(*db.try_size() == 2);
    CHECK(!*db.try_put("a", "2", PutOptions().if_absent()) && *db.try_put("a", "3", PutOptions().if_present().sync()));
    CHECK(*db.try_erase("b") && !*db.try_erase("b"));

    std::array<char, 4> buffer{};
    CHECK(*db.try_get_into("a", buffer.data(), buffer.size()) == 1u && buffer[0] == '3');
    CHECK(*db.try_get_into("a", nullptr, 0) == 1u && *db.try_get_into("c", nullptr, 0) == std::nullopt);

    auto pinned = db.try_get_pinned("a").value();
    CHECK(pinned && *pinned == std::string_view("3") && pinned->size() == 1);
    CHECK(!db.try_get_pinned("c").value());
    CHECK(db.try_put("a", "4").has_value() && pinned->view() == "3");

    auto many = db.try_get_many({"a", "c", "a"}).value();
    CHECK(many.size() == 3 && many[0]->view() == "4" && !many[1] && many[2]->view() == "4");
    CHECK(db.try_get_many(std::vector<std::string>()).value().empty());

    CHECK(db.try_put("x/1", "").has_value() && db.try_put("x/2", "").has_value());
    auto keys = db.try_keys("x/").value();
    CHECK(keys.size() == 2 && !keys.empty());
    std::set<std::string> seen(keys.begin(), keys.end());
    CHECK(seen == std::set<std::string>{"x/1", "x/2"} && seen.count(std::string(keys[0])) == 1);
    CHECK(db.try_keys("nothing").value().empty());
    CHECK(db.try_put("x", "").has_value() && db.try_put("x/10", "").has_value());
    const auto sorted = db.try_sorted_keys("x").value();
    const std::vector<std::string_view> in_order(sorted.begin(), sorted.end());
    CHECK(in_order == std::vector<std::string_view>{"x", "x/1", "x/10", "x/2"});
    CHECK(*db.try_erase("x") && *db.try_erase("x/10"));

    CHECK(*db.try_ttl("a") == filedbxx::no_expiry && *db.try_ttl("c") == std::nullopt);
    CHECK(*db.try_expire("a", 1h) && *db.try_ttl("a") <= 1h && *db.try_ttl("a") > 59min);
    CHECK(*db.try_put("a", "5", PutOptions().keep_ttl()) && *db.try_ttl("a") <= 1h);
    CHECK(*db.try_persist("a") && *db.try_ttl("a") == filedbxx::no_expiry && !*db.try_persist("c"));
    CHECK(*db.try_put("a", "5", PutOptions().expires_in(15min)) && *db.try_ttl("a") <= 15min);
    CHECK(*db.try_expire("a", 0s) && !*db.try_contains("a") && !*db.try_expire("a", 1s));

    CHECK(db.try_sync().has_value() && db.try_merge().has_value());
    CHECK(db.try_close().has_value());
    CHECK(db.try_close().error().code() == FILEDB_ERR_INVALID_ARGUMENT);
    CHECK(contents(open(dir)) == std::map<std::string, std::string>{{"x/1", ""}, {"x/2", ""}});
  }
}

void a_batch_is_written_whole() {
  TempDir dir;
  Store db = open(dir);
  Batch batch;
  CHECK(batch.try_put("a", "1").has_value() && batch.try_put("b", "2").has_value() && batch.try_erase("a").has_value());
  CHECK(batch.try_put("c", "3", PutOptions().expires_in(1h)).has_value());
  CHECK(batch.try_put("d", "", PutOptions().if_absent()).error().code() == FILEDB_ERR_UNSUPPORTED);
  CHECK(batch.try_put("", "").error().code() == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(*db.try_size() == 0);
  CHECK(db.try_write(batch).has_value());
  CHECK(contents(db) == std::map<std::string, std::string>{{"b", "2"}, {"c", "3"}});
  CHECK(*db.try_ttl("c") <= 1h && *db.try_ttl("c") > 59min && *db.try_ttl("b") == filedbxx::no_expiry);
  batch.clear();
  CHECK(batch.try_put("c", "3").has_value());
  Batch moved = std::move(batch);
  CHECK(db.try_write(moved).has_value() && *db.try_size() == 2);
}

void walks_see_one_moment_by_row_and_by_many() {
  TempDir dir;
  Store db = open(dir);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 1000; i++) {
    const auto key = "key" + std::to_string(i);
    model[key] = std::string(static_cast<std::size_t>(i % 7), 'v');
    CHECK(db.try_put(key, model[key]).has_value());
  }
  CHECK(db.try_range({"a", "m"}).error().code() == FILEDB_ERR_UNSUPPORTED);
  CHECK(db.try_erase_range({}).error().code() == FILEDB_ERR_UNSUPPORTED);
  auto walk = db.try_scan("key").value();
  CHECK(walk.try_seek("key").error().code() == FILEDB_ERR_UNSUPPORTED);
  std::map<std::string, std::string> seen;
  std::vector<filedbxx::Entry> rows;
  bool more = true;
  while (more) {
    more = walk.try_next_batch(rows, 64).value();
    for (auto [key, value] : rows) {
      seen.emplace(key, value);
      CHECK(db.try_erase(key).has_value());
    }
    if (const auto row = walk.try_next().value()) seen.emplace(row->key, row->value);
    else more = false;
  }
  CHECK(seen == model);
  int after = 0;
  CHECK(db.try_fold([&](std::string_view, std::string_view) { after++; }).has_value());
  CHECK(after == static_cast<int>(*db.try_size()));
  int stopped = 0;
  CHECK(db.try_put("a", "").has_value() && db.try_put("b", "").has_value());
  CHECK(db.try_fold([&](std::string_view, std::string_view) { return ++stopped < 2; }).has_value());
  CHECK(stopped == 2);
  // A result that nobody keeps outlives the loop over what is in it.
  for (auto [key, value] : *db.try_scan("a")) CHECK(key == "a" && value.empty());
}

void what_a_store_handed_out_outlives_it() {
  for (const char *io : {"mmap", "pread"}) {
    TempDir dir;
    std::optional<filedbxx::Pinned> pinned;
    std::optional<filedbxx::Iterator> walk;
    {
      Store db = open(dir, Options().set("io", io));
      for (int i = 0; i < 100; i++) CHECK(db.try_put("key" + std::to_string(i), "value").has_value());
      pinned = db.try_get_pinned("key7").value();
      walk.emplace(db.try_scan().value());
      CHECK(walk->try_next().value().has_value());
      Store other = std::move(db);
      CHECK(db.handle() == nullptr && db.try_get("key7").error().code() == FILEDB_ERR_INVALID_ARGUMENT);
      CHECK(*other.try_get("key7") == "value");
    }
    CHECK(pinned->view() == "value");
    CHECK(walk->try_next().error().code() == FILEDB_ERR_CLOSED);
    open(dir);  // nothing of it holds the lock
    walk.reset();
    CHECK(pinned->view() == "value");
  }
}

void errors_name_what_they_are_about() {
  TempDir dir;
  Store db = open(dir);
  const auto second = Store::try_open(dir.store());
  CHECK(!second && second.error().code() == FILEDB_ERR_LOCKED);
  CHECK(second.error().message().find(dir.store()) != std::string::npos);
  const auto unknown = Store::try_open(dir.store() + "2", Options().set("sink", "always").set("sync", "always"));
  CHECK(!unknown && unknown.error().message().find("sink") != std::string::npos);
  CHECK(Store::try_open("a\0b"s).error().code() == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(Options().set("sync", "none\0x"s).error()->code() == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(Options().set("sync\0x"s, "none").error()->code() == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(Options().try_get("sync\0x"s).error().code() == FILEDB_ERR_INVALID_ARGUMENT);
  const auto file = dir.path / "file";
  std::fclose(std::fopen(file.c_str(), "w"));
  const auto blocked = Store::try_open((file / "store").string());
  CHECK(!blocked && blocked.error().code() == FILEDB_ERR_IO && blocked.error().os_errno() == ENOTDIR);
  CHECK(db.try_put("", "").error().code() == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(db.try_get(std::string(65537, 'k')).error().code() == FILEDB_ERR_TOO_LARGE);
  CHECK(db.try_get_many({"a", ""}).error().code() == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(db.try_put("a", "", PutOptions().if_absent().if_present()).error().code() == FILEDB_ERR_INVALID_ARGUMENT);
}

void options_are_described_and_typed() {
  Options options;
  options.set("sync_interval_ms", 2s).set("max_file_size", 1 << 20).set("read_only", false).set("sync", "none"s);
  CHECK(!options.error());
  CHECK(*options.try_get("sync_interval_ms") == "2000" && *options.try_get("read_only") == "false");
  CHECK(*options.try_get("max_file_size") == "1048576" && *options.try_get("sync") == "none");
  CHECK(!options.try_get("sink").has_value());
  bool has_sync = false;
  for (const auto &option : filedbxx::describe_options()) {
    CHECK(!option.name.empty() && !option.values.empty() && !option.help.empty());
    CHECK(options.try_get(option.name).has_value());
    has_sync |= option.name == "sync" && option.values.find("always") != std::string_view::npos;
  }
  CHECK(has_sync);
  CHECK(filedbxx::version_number() >> 16 == FILEDB_VERSION_MAJOR && !filedbxx::version().empty());
}

void a_log_hears_of_it_until_the_store_is_closed() {
  TempDir dir;
  auto heard = std::make_shared<std::vector<std::string>>();
  {
    auto options = Options().set("log_level", "debug").set_log([heard](int level, std::string_view message) {
      if (level >= FILEDB_LOG_ERROR && level <= FILEDB_LOG_DEBUG) heard->emplace_back(message);
    });
    Store first = open(dir, options);
    options = Options();
    Store db = std::move(first);
    CHECK(db.try_put("a", "1").has_value() && db.try_merge().has_value());
    const auto stats = db.try_stats().value();
    CHECK(stats.keys == 1 && stats.files >= 1 && stats.data_bytes > 0);
  }
  CHECK(!heard->empty() && heard.use_count() == 1);
}

void what_is_moved_takes_along_all_that_belongs_to_it() {
  TempDir one, two;
  auto heard = std::make_shared<int>(0);
  Store db = open(one, Options().set("log_level", "debug").set_log([heard](int, std::string_view) { ++*heard; }));
  CHECK(db.try_put("a", "1").has_value());
  // Closes the store that was here, which has its own log until then.
  db = open(two, Options().set("log_level", "debug").set_log(nullptr));
  CHECK(heard.use_count() == 1);
  CHECK(open(one).try_get("a").value() == "1");
  CHECK(db.try_put("b", "2").has_value());
  auto keys = db.try_keys().value();
  const auto taken = std::move(keys);
  CHECK(keys.empty() && keys.begin() == keys.end() && taken.size() == 1 && taken[0] == "b");
}

template <class T>
void answers_that_it_was_moved_from(const filedbxx::Result<T> &result) {
  CHECK(!result.has_value() && result.error().code() == FILEDB_ERR_INVALID_ARGUMENT && !result.error().message().empty());
}

void what_was_moved_from_answers_with_an_error_and_can_be_assigned_to() {
  TempDir one, two;
  Store from = open(one);
  CHECK(from.try_put("a", "1").has_value());
  auto pin = from.try_get_pinned("a").value().value();
  auto walk = from.try_scan().value();
  Batch batch;
  CHECK(batch.try_put("b", "2").has_value());
  Options options;
  options.set("read_only", true);

  Store to = std::move(from);
  answers_that_it_was_moved_from(from.try_put("a", ""));
  answers_that_it_was_moved_from(from.try_put("a", "", PutOptions()));
  answers_that_it_was_moved_from(from.try_erase("a"));
  answers_that_it_was_moved_from(from.try_get("a"));
  answers_that_it_was_moved_from(from.try_get_into("a", nullptr, 0));
  answers_that_it_was_moved_from(from.try_get_pinned("a"));
  answers_that_it_was_moved_from(from.try_get_many({"a"}));
  answers_that_it_was_moved_from(from.try_contains("a"));
  answers_that_it_was_moved_from(from.try_keys());
  answers_that_it_was_moved_from(from.try_size());
  answers_that_it_was_moved_from(from.try_sync());
  answers_that_it_was_moved_from(from.try_merge());
  answers_that_it_was_moved_from(from.try_ttl("a"));
  answers_that_it_was_moved_from(from.try_expire("a", 1s));
  answers_that_it_was_moved_from(from.try_persist("a"));
  answers_that_it_was_moved_from(from.try_write(batch));
  answers_that_it_was_moved_from(from.try_scan());
  answers_that_it_was_moved_from(from.try_stats());
  answers_that_it_was_moved_from(from.try_fold([](std::string_view, std::string_view) {}));
  answers_that_it_was_moved_from(from.try_close());
  from = open(two);
  CHECK(*from.try_size() == 0 && *to.try_size() == 1);

  Batch other = std::move(batch);
  answers_that_it_was_moved_from(batch.try_put("a", ""));
  answers_that_it_was_moved_from(batch.try_erase("a"));
  answers_that_it_was_moved_from(to.try_write(batch));
  batch.clear();
  batch = std::move(other);
  CHECK(to.try_write(batch).has_value() && *to.try_size() == 2);

  auto on = std::move(walk);
  answers_that_it_was_moved_from(walk.try_next());
  std::vector<filedbxx::Entry> rows;
  answers_that_it_was_moved_from(walk.try_next_batch(rows));
  CHECK(on.try_next().value()->key == "a");
  walk = std::move(on);
  CHECK(walk.try_next().value() == std::nullopt);

  filedbxx::Pinned taken = std::move(pin);
  CHECK(pin.size() == 0 && pin.view().empty() && taken.view() == "1");
  pin = std::move(taken);
  CHECK(pin.view() == "1");

  // A store that is opened with options that are no more would be one with the defaults.
  Options kept = std::move(options);
  answers_that_it_was_moved_from(options.try_get("read_only"));
  CHECK(options.set("sync", "always").error()->code() == FILEDB_ERR_INVALID_ARGUMENT);
  answers_that_it_was_moved_from(Store::try_open(one.store(), options));
  options = std::move(kept);
  CHECK(!options.error() && *options.try_get("read_only") == "true");
}

void a_time_to_live_may_be_as_long_as_can_be_said() {
  TempDir dir;
  Store db = open(dir);
  CHECK(db.try_put("a", "1", PutOptions().expires_in(std::chrono::seconds::max())).has_value());
  CHECK(db.try_put("b", "2").has_value() && *db.try_expire("b", std::chrono::hours::max()));
  CHECK(db.try_put("c", "3").has_value() && *db.try_expire("c", std::chrono::duration<double>(1e300)));
  Options options;
  for (const double seconds : {0.001, 0.05, 0.1, 1.1}) {
    options.set("sync_interval_ms", std::chrono::duration<double>(seconds));
    CHECK(options.try_get("sync_interval_ms").value() == std::to_string(std::lround(seconds * 1000)));
  }
  for (const char *key : {"a", "b", "c"}) {
    CHECK(db.try_get(key).value().has_value());
    CHECK(**db.try_ttl(key) > std::chrono::hours(24 * 365 * 1000));
  }
}

void plain_structs_are_bytes() {
  struct Point {
    int x, y;
  } point{3, 4}, back{};
  TempDir dir;
  Store db = open(dir);
  CHECK(db.try_put("point", filedbxx::bytes_of(point)).has_value());
  CHECK(*db.try_get_into("point", &back, sizeof back) == sizeof back && back.x == 3 && back.y == 4);
  const auto read = db.try_get_as<Point>("point").value();
  CHECK(read && read->x == 3 && read->y == 4);
  CHECK(!db.try_get_as<Point>("absent").value());
  const auto half = db.try_get_as<int>("point");
  CHECK(half.error().code() == FILEDB_ERR_INVALID_ARGUMENT && half.error().message().find("8 bytes") != std::string::npos);
  CHECK(!db.try_get_as<std::array<int, 4>>("point").has_value());
  for (auto [key, value] : db.try_scan().value()) {
    CHECK(key == "point" && filedbxx::object_of<Point>(value)->y == 4 && !filedbxx::object_of<char>(value));
  }
}

void a_path_may_be_one_of_the_standard_library() {
  TempDir dir;
  const std::filesystem::path path = dir.path / "store";
  {
    auto db = Store::try_open(path).value();
    CHECK(db.try_put("a", "1").has_value());
  }
  const auto again = Store::try_open(path, Options().set("read_only", true)).value();
  CHECK(*again.try_get("a") == "1");
  CHECK(Store::try_open(dir.path / "absent", Options().set("create_if_missing", false)).error().code() == FILEDB_ERR_MISSING);
}

// What a walk and a list of keys are to the algorithms of the standard library.
void rows_and_keys_are_ranges() {
  TempDir dir;
  Store db = open(dir);
  for (int i = 0; i < 100; i++) CHECK(db.try_put("key" + std::to_string(i), std::to_string(i)).has_value());
  auto keys = db.try_sorted_keys().value();
  CHECK(keys.end() - keys.begin() == 100 && keys.begin()[1] == "key1" && *(keys.end() - 1) == "key99");
  CHECK(std::is_sorted(keys.begin(), keys.end()));
  auto walk = db.try_scan().value();
  CHECK(std::count_if(walk.begin(), walk.end(), [](const auto &row) { return row.value.size() == 1; }) == 10);
#if defined(__cpp_lib_ranges)
  static_assert(std::ranges::input_range<filedbxx::Iterator> && std::ranges::viewable_range<filedbxx::Iterator>);
  static_assert(std::ranges::random_access_range<const filedbxx::Keys> && std::ranges::sized_range<filedbxx::Keys>);
  CHECK(std::ranges::binary_search(keys, std::string_view("key42")));
#endif
// Clang before 16 does not take the views of libstdc++, whatever they are views of.
#if defined(__cpp_lib_ranges) && (!defined(__clang_major__) || __clang_major__ >= 16)
  int seen = 0;
  auto rows = db.try_scan().value();
  for (const auto &row : rows | std::views::filter([](const auto &one) { return one.value.size() == 2; }) | std::views::take(7)) {
    CHECK(row.key.substr(3) == row.value);
    seen++;
  }
  CHECK(seen == 7);
#endif
}

void threads_share_a_store() {
  TempDir dir;
  Store db = open(dir);
  std::vector<std::thread> threads;
  std::array<int, 4> wrong{};
  for (std::size_t t = 0; t < wrong.size(); t++) {
    threads.emplace_back([&db, &wrong, t] {
      for (int i = 0; i < 500; i++) {
        const auto key = std::to_string(t) + "/" + std::to_string(i);
        if (!db.try_put(key, key) || *db.try_get(key) != key) wrong[t]++;
      }
    });
  }
  for (auto &thread : threads) thread.join();
  CHECK(wrong == std::array<int, 4>{} && *db.try_size() == 2000);
}

std::optional<std::string> one_more(std::optional<std::string_view> value) {
  return std::to_string((value ? std::stoi(std::string(*value)) : 0) + 1);
}

void four_threads_that_count_lose_no_hit() {
  TempDir dir;
  for (const auto &where : {dir.store(), "memory://"s}) {
    Store db = Store::try_open(where).value();
    std::vector<std::thread> threads;
    std::array<int, 4> wrong{};
    std::atomic<bool> begun{false};
    for (int &wrong_here : wrong) {
      threads.emplace_back([&db, &begun, &wrong_here] {
        while (!begun) std::this_thread::yield();
        for (int i = 0; i < 2500; i++) {
          if (!db.try_increment("hits") || !db.try_update("updates", one_more)) wrong_here++;
        }
      });
    }
    begun = true;
    for (auto &thread : threads) thread.join();
    CHECK(wrong == std::array<int, 4>{});
    CHECK(*db.try_get("hits") == "10000" && *db.try_get("updates") == "10000");
  }
}

void an_update_begins_with_nothing_removes_and_is_tried_again() {
  TempDir dir;
  Store db = open(dir);
  CHECK(*db.try_update("key", one_more) == "1" && *db.try_update("key", one_more) == "2");
  // Somebody else writes the first time; the second time sees what that wrote.
  int calls = 0;
  const auto late = [&](std::optional<std::string_view> value) -> std::optional<std::string> {
    if (calls++ == 0) CHECK(db.try_put("key", "").has_value());
    return std::string(*value) + "!";
  };
  CHECK(*db.try_update("key", late) == "!" && calls == 2);
  const auto remove = [](std::optional<std::string_view>) { return std::optional<std::string>(); };
  CHECK(*db.try_update("key", remove) == std::nullopt && !*db.try_contains("key"));
  CHECK(*db.try_update("key", remove) == std::nullopt && !*db.try_contains("key"));
  CHECK(db.try_push_back("jobs", "first").has_value());
  CHECK(db.try_update("jobs", one_more).error().code() == FILEDB_ERR_WRONG_TYPE);
#if FILEDB_EXCEPTIONS
  CHECK(db.update("key", one_more) == "1");
  try {
    db.update("key", [](std::optional<std::string_view>) -> std::optional<std::string> { throw 7; });
    CHECK(false);
  } catch (int) {
    CHECK(db.get("key") == "1");
  }
#endif
}

void damage_is_found_and_the_rest_is_saved() {
  const TempDir dir;
  {
    auto db = Store::try_open(dir.store());
    CHECK(db && db->try_put("kept", "value") && db->try_put("lost", "a value that is damaged"));
  }
  CHECK(filedbxx::try_check(dir.store(), [](const filedbxx::Finding &) {}).value().damaged_places == 0);
  for (const auto &entry : std::filesystem::directory_iterator(dir.store())) {
    if (entry.path().extension() != ".data") continue;
    std::FILE *file = std::fopen(entry.path().c_str(), "r+b");
    std::string content(std::filesystem::file_size(entry.path()), 0);
    CHECK(std::fread(content.data(), 1, content.size(), file) == content.size());
    const auto at = content.find("a value that");
    if (at != content.npos) {
      std::fseek(file, static_cast<long>(at), SEEK_SET);
      std::fputc('b', file);
    }
    std::fclose(file);
  }
  std::string key;
  const auto report = filedbxx::try_check(dir.store(), [&](const filedbxx::Finding &finding) {
    if (finding.key) key = *finding.key;
    return finding.severity == FILEDB_FINDING_DATA_LOST;
  });
  CHECK(report && report->damaged_places == 1 && report->keys_lost == 1 && key == "lost");
  const std::string saved = dir.store() + "-saved";
  const auto stopped = filedbxx::try_salvage(dir.store(), saved, [](const filedbxx::Finding &) { return false; });
  CHECK(!stopped && stopped.error().code() == FILEDB_ERR_CORRUPT && !std::filesystem::exists(saved));
  CHECK(filedbxx::try_salvage(dir.store(), saved, [](const filedbxx::Finding &) {}).value().keys == 1);
#if FILEDB_EXCEPTIONS
  CHECK(filedbxx::check(saved, [](const filedbxx::Finding &) {}).keys == 1);
  try {
    filedbxx::salvage(dir.store(), saved + "2", [](const filedbxx::Finding &) { throw 7; });
    CHECK(false);
  } catch (int thrown) {
    CHECK(thrown == 7);
  }
#endif
}

#if FILEDB_EXCEPTIONS
template <class Call>
filedb_status_t thrown(Call call) {
  try {
    call();
  } catch (const filedbxx::Exception &why) {
    CHECK(std::string(why.what()) == why.error().message() && !why.error().message().empty());
    return why.code();
  }
  return FILEDB_OK;
}

void every_verb_without_try_throws_what_is_wrong() {
  TempDir dir;
  Store db = Store::open(dir.store(), Options().set("verify_checksums", true));
  db.put("a", "1");
  CHECK(db.put("b", "2", PutOptions().if_absent()) && db.get("a") == "1" && db.get("c").value_or("none") == "none");
  CHECK(db.contains("a") && db.size() == 2 && db.keys("a").size() == 1 && db.get_pinned("a")->view() == "1");
  CHECK(db.get_many({"a", "c"})[0]->view() == "1" && db.get_many(std::vector<std::string_view>{"c"}).size() == 1);
  CHECK(db.expire("a", 1h) && db.ttl("a") <= 1h && db.persist("a") && db.get_into("a", nullptr, 0) == 1u);
  db.write(Batch().put("d", "4").erase("b"));
  db.sync();
  db.merge();
  auto changes = db.changes(db.last_seq());
  filedb_change_t change;
  CHECK(changes.next(change, 0ms) == FILEDB_TIMEOUT && change.seq == 0);
  db.put("e", "5");
  CHECK(changes.next(change) == FILEDB_OK && change.kind == FILEDB_CHANGE_PUT && change.seq == db.last_seq());
  CHECK(std::string_view(static_cast<const char *>(change.key.data), change.key.len) == "e");
  CHECK(db.changes(db.last_seq() + 1).next(change) == FILEDB_GAP);
  db.erase("e");
  db.backup(std::string(dir.store()) + "-backup");
  db.backup(std::string(dir.store()) + "-backup", FILEDB_BACKUP_COPY);
  std::map<std::string, std::string> seen;
  for (const auto &[key, value] : db.scan()) seen.emplace(key, value);
  CHECK(seen == std::map<std::string, std::string>{{"a", "1"}, {"d", "4"}});
  auto walk = db.scan();
  std::vector<filedbxx::Entry> rows;
  CHECK(!walk.next_batch(rows) && rows.size() == 2 && !walk.next());
  db.fold([](std::string_view, std::string_view) {});
  CHECK(db.stats().keys == 2 && db.erase("a") && Options().get("sync") == "interval");

  CHECK(db.push_back("jobs", "b") == 1 && db.push_front("jobs", "a") == 2);
  db.write(Batch().push_back("jobs", "c").push_front("jobs", ""));
  CHECK(db.list_size("jobs") == 4u && db.list_get("jobs", -1) == "c" && db.list_set("jobs", 0, "first"));
  CHECK(db.list_range("jobs", 1, -1).size() == 3 && db.type("jobs") == FILEDB_TYPE_LIST && !db.type("none"));
  CHECK(db.list_move("jobs", "jobs") == "first" && db.list_move("jobs", "jobs", FILEDB_MOVE_FROM_BACK | FILEDB_MOVE_TO_FRONT) == "first");
  CHECK(!db.list_move("none", "jobs"));
  CHECK(db.pop_front("jobs") == "first" && db.pop_back("jobs") == "c" && !db.pop_back("none"));
  CHECK(thrown([&] { db.get("jobs"); }) == FILEDB_ERR_WRONG_TYPE);
  auto lists = db.scan("jobs");
  CHECK(lists.next() && lists.try_type().value() == FILEDB_TYPE_LIST);
  CHECK(db.compare_and_swap("cas", std::nullopt, "1") && !db.compare_and_swap("cas", std::nullopt, "2"));
  CHECK(db.get_erase("cas") == "1" && db.increment("hits", 5) == 5 && (db.capabilities() & FILEDB_CAN_SYNC));

  const std::string empty;
  CHECK(thrown([&] { Store::open(dir.store()); }) == FILEDB_ERR_LOCKED);
  CHECK(thrown([&] { db.put(empty, empty); }) == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(thrown([&] { db.get(empty); }) == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(thrown([&] { Batch().put(empty, empty); }) == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(thrown([&] { db.fold([](std::string_view, std::string_view) -> bool {
          throw filedbxx::Exception(filedbxx::Error(-99, "from the visitor"));
        }); }) == -99);
  auto open_walk = db.scan();
  db.close();
  CHECK(thrown([&] { for (auto row : open_walk) (void)row; }) == FILEDB_ERR_CLOSED);
  CHECK(open_walk.result().error().code() == FILEDB_ERR_CLOSED);
  CHECK(thrown([&] { db.close(); }) == FILEDB_ERR_INVALID_ARGUMENT);
}
#endif

void run(void (*test)(), const char *name) {
  failed_here = 0;
  test();
  (failed_here == 0 ? passed : failed)++;
  std::printf("%s %s\n", failed_here == 0 ? "ok    " : "FAILED", name);
}
#define RUN(test) run(test, #test)

}  // namespace

int main() {
  RUN(every_verb_answers_with_a_result);
  RUN(a_batch_is_written_whole);
  RUN(walks_see_one_moment_by_row_and_by_many);
  RUN(what_a_store_handed_out_outlives_it);
  RUN(errors_name_what_they_are_about);
  RUN(options_are_described_and_typed);
  RUN(a_log_hears_of_it_until_the_store_is_closed);
  RUN(what_is_moved_takes_along_all_that_belongs_to_it);
  RUN(what_was_moved_from_answers_with_an_error_and_can_be_assigned_to);
  RUN(a_time_to_live_may_be_as_long_as_can_be_said);
  RUN(plain_structs_are_bytes);
  RUN(a_path_may_be_one_of_the_standard_library);
  RUN(rows_and_keys_are_ranges);
  RUN(threads_share_a_store);
  RUN(four_threads_that_count_lose_no_hit);
  RUN(an_update_begins_with_nothing_removes_and_is_tried_again);
  RUN(damage_is_found_and_the_rest_is_saved);
#if FILEDB_EXCEPTIONS
  RUN(every_verb_without_try_throws_what_is_wrong);
#endif
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
