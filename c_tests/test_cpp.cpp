// The header in C++17, and the main verbs called from it the way C++ programs do: owned by unique_ptr.
#include "filedb.h"
#include "filedb.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

static_assert(std::is_standard_layout_v<filedb_error_t> && std::is_trivially_copyable_v<filedb_error_t>);
static_assert(std::is_standard_layout_v<filedb_slice_t> && std::is_trivially_copyable_v<filedb_slice_t>);
static_assert(std::is_standard_layout_v<filedb_pinned_t> && std::is_trivially_copyable_v<filedb_pinned_t>);
static_assert(sizeof(filedb_error_t) == 288);

namespace {

int passed = 0, failed = 0, failed_here = 0;

void check(bool holds, const char *what, int line) {
  if (holds) return;
  std::printf("  test_cpp.cpp:%d: not so: %s\n", line, what);
  failed_here++;
}
#define CHECK(condition) check((condition), #condition, __LINE__)

struct Close {
  void operator()(filedb_t *db) const { filedb_close(db, nullptr); }
};
struct Free {
  void operator()(void *memory) const { filedb_free(memory); }
};
using Store = std::unique_ptr<filedb_t, Close>;

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
};

Store open(const TempDir &dir) {
  filedb_error_t err = FILEDB_ERROR_INIT;
  filedb_t *db = nullptr;
  if (filedb_open((dir.path / "store").c_str(), nullptr, &db, &err) != FILEDB_OK) {
    std::printf("  open: %s\n", err.message);
    failed_here++;
  }
  return Store(db);
}

void every_verb_works() {
  TempDir dir;
  filedb_error_t err = FILEDB_ERROR_INIT;
  {
    Store db = open(dir);
    const std::string_view key = "key", value = "value";
    CHECK(filedb_put(db.get(), key.data(), key.size(), value.data(), value.size(), &err) == FILEDB_OK);
    CHECK(filedb_put(db.get(), "gone", 4, nullptr, 0, &err) == FILEDB_OK);
    CHECK(filedb_delete(db.get(), "gone", 4, &err) == FILEDB_OK);
    CHECK(filedb_sync(db.get(), &err) == FILEDB_OK);
  }
  Store db = open(dir);
  void *got = nullptr;
  std::size_t len = 0, count = 0;
  CHECK(filedb_get(db.get(), "key", 3, &got, &len, &err) == FILEDB_OK);
  std::unique_ptr<void, Free> owned(got);
  CHECK(std::string_view(static_cast<const char *>(got), len) == "value");

  std::string buffer(5, '.');
  CHECK(filedb_get_into(db.get(), "key", 3, buffer.data(), buffer.size(), &len, &err) == FILEDB_OK);
  CHECK(buffer == "value");

  filedb_pinned_t pinned{};
  CHECK(filedb_get_pinned(db.get(), "key", 3, &pinned, &err) == FILEDB_OK);
  CHECK(std::string_view(static_cast<const char *>(pinned.data), pinned.len) == "value");
  filedb_unpin(&pinned);

  const filedb_slice_t keys[] = {{"key", 3}, {"gone", 4}};
  filedb_pinned_t values[2];
  filedb_status_t statuses[2];
  CHECK(filedb_get_many(db.get(), keys, 2, values, statuses, &err) == FILEDB_OK);
  CHECK(statuses[0] == FILEDB_OK && statuses[1] == FILEDB_NOT_FOUND);
  for (auto &one : values) filedb_unpin(&one);

  filedb_slice_t *listed = nullptr;
  CHECK(filedb_list(db.get(), nullptr, 0, &listed, &count, &err) == FILEDB_OK && count == 1);
  CHECK(std::string_view(static_cast<const char *>(listed[0].data), listed[0].len) == "key");
  filedb_free(listed);

  std::uint64_t number = 0;
  CHECK(filedb_count(db.get(), &number, &err) == FILEDB_OK && number == 1);
  CHECK(filedb_exists(db.get(), "key", 3, &err) == FILEDB_OK);
}

void errors_have_a_status_and_a_sentence() {
  TempDir dir;
  filedb_error_t err = FILEDB_ERROR_INIT;
  Store db = open(dir);
  filedb_t *second = nullptr;
  const auto path = (dir.path / "store").string();
  CHECK(filedb_open(path.c_str(), nullptr, &second, &err) == FILEDB_ERR_LOCKED);
  CHECK(err.code == FILEDB_ERR_LOCKED && std::string_view(err.message).find(path) != std::string_view::npos);
  CHECK(filedb_put(db.get(), nullptr, 0, nullptr, 0, &err) == FILEDB_ERR_INVALID_ARGUMENT);
  CHECK(filedb_exists(db.get(), "absent", 6, nullptr) == FILEDB_NOT_FOUND);
  CHECK(std::string_view(filedb_strerror(FILEDB_NOT_FOUND)) == "there is no such key");
}

void run(void (*test)(), const char *name) {
  failed_here = 0;
  test();
  (failed_here == 0 ? passed : failed)++;
  std::printf("%s %s\n", failed_here == 0 ? "ok    " : "FAILED", name);
}

}  // namespace

int main() {
  run(every_verb_works, "every_verb_works");
  run(errors_have_a_status_and_a_sentence, "errors_have_a_status_and_a_sentence");
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
