// filedb through its C API, as include/filedb.h describes it.
#include <filedb.h>

#include <array>
#include <cstdio>

#include "engine.h"

namespace race {
namespace {

[[noreturn]] void fail(const char* what, const filedb_error_t& error) {
  throw std::runtime_error(std::string("filedb: ") + what + ": " + error.message);
}

class FiledbSession final : public Session {
 public:
  explicit FiledbSession(filedb_t* db) : db_(db), batch_(filedb_batch_new()) {
    if (batch_ == nullptr) throw std::runtime_error("filedb: no memory for a batch");
  }
  ~FiledbSession() override { filedb_batch_free(batch_); }

  void put(Bytes key, Bytes value) override {
    if (filedb_put(db_, key.data(), key.size(), value.data(), value.size(), &error_) != FILEDB_OK) fail("put", error_);
  }

  void put_many(const std::vector<Pair>& pairs) override {
    filedb_batch_clear(batch_);
    for (const auto& [key, value] : pairs) {
      if (filedb_batch_put(batch_, key.data(), key.size(), value.data(), value.size(), &error_) != FILEDB_OK) {
        fail("batch_put", error_);
      }
    }
    if (filedb_write(db_, batch_, &error_) != FILEDB_OK) fail("write", error_);
  }

  bool get(Bytes key, Value& value) override {
    size_t size = 0;
    const filedb_status_t status =
        filedb_get_into(db_, key.data(), key.size(), value.buffer.data(), value.buffer.size(), &size, &error_);
    if (status == FILEDB_NOT_FOUND) return false;
    if (status != FILEDB_OK) fail("get_into", error_);
    value.bytes = Bytes(value.buffer.data(), size);
    return true;
  }

  bool get_many(const std::vector<Bytes>& keys, Visitor& visitor) override {
    const size_t count = keys.size();
    slices_.resize(count);
    values_.resize(count);
    statuses_.resize(count);
    for (size_t i = 0; i < count; i++) slices_[i] = {keys[i].data(), keys[i].size()};
    if (filedb_get_many(db_, slices_.data(), count, values_.data(), statuses_.data(), &error_) != FILEDB_OK) {
      fail("get_many", error_);
    }
    for (size_t i = 0; i < count; i++) {
      if (statuses_[i] != FILEDB_OK) throw std::runtime_error("filedb: get_many: a key is missing");
      visitor.visit(keys[i], Bytes(static_cast<const char*>(values_[i].data), values_[i].len));
      filedb_unpin(&values_[i]);
    }
    return true;
  }

  void erase(Bytes key) override {
    if (filedb_delete(db_, key.data(), key.size(), &error_) < 0) fail("delete", error_);
  }

  void scan(Visitor& visitor) override {
    filedb_iter_t* iter = nullptr;
    if (filedb_iter_new(db_, nullptr, 0, &iter, &error_) != FILEDB_OK) fail("iter_new", error_);
    show(iter, UINT64_MAX, visitor);
  }

  void walk(const Walk& walk, Visitor& visitor) override {
    filedb_range_t range = FILEDB_RANGE_INIT;
    filedb_slice_t& bound = walk.backwards ? range.to : range.from;
    if (!walk.from.empty()) bound = {walk.from.data(), walk.from.size()};
    if (walk.backwards) range.flags = FILEDB_RANGE_REVERSE | FILEDB_RANGE_TO_INCLUDED;
    filedb_iter_t* iter = nullptr;
    if (filedb_range_new(db_, &range, &iter, &error_) != FILEDB_OK) fail("range_new", error_);
    show(iter, walk.most, visitor);
  }

 private:
  void show(filedb_iter_t* iter, uint64_t most, Visitor& visitor) {
    std::array<filedb_slice_t, 256> keys;
    std::array<filedb_slice_t, 256> values;
    filedb_status_t status = FILEDB_OK;
    while (status == FILEDB_OK && most > 0) {
      const auto wanted = static_cast<size_t>(most < keys.size() ? most : keys.size());
      const size_t count = filedb_iter_next_batch(iter, keys.data(), values.data(), wanted, &status, &error_);
      most -= count;
      for (size_t i = 0; i < count; i++) {
        visitor.visit(Bytes(static_cast<const char*>(keys[i].data), keys[i].len),
                      Bytes(static_cast<const char*>(values[i].data), values[i].len));
      }
    }
    filedb_iter_free(iter);
    if (status != FILEDB_DONE && status != FILEDB_OK) fail("iter_next_batch", error_);
  }

  filedb_t* db_;
  filedb_batch_t* batch_;
  filedb_error_t error_ = FILEDB_ERROR_INIT;
  std::vector<filedb_slice_t> slices_;
  std::vector<filedb_pinned_t> values_;
  std::vector<filedb_status_t> statuses_;
};

class Filedb final : public Engine {
 public:
  Filedb(const Config& config, const char* io, const char* engine = "auto") {
    filedb_error_t error = FILEDB_ERROR_INIT;
    options_ = filedb_options_new();
    if (filedb_options_set(options_, "sync", config.durable ? "always" : "none", &error) != FILEDB_OK) {
      fail("options_set", error);
    }
    if (filedb_options_set(options_, "io", io, &error) != FILEDB_OK) fail("options_set", error);
    if (filedb_options_set(options_, "engine", engine, &error) != FILEDB_OK) fail("options_set", error);
    // Under a limit of memory no more than a quarter of it, as the others' caches.
    const std::string memory = std::to_string(config.buffer_bytes(128 << 20, 4));
    if (filedb_options_set(options_, "lsm_memory", memory.c_str(), &error) != FILEDB_OK) fail("options_set", error);
    if (filedb_open(config.directory.c_str(), options_, &db_, &error) != FILEDB_OK) fail("open", error);
  }

  ~Filedb() override {
    filedb_error_t error = FILEDB_ERROR_INIT;
    if (filedb_close(db_, &error) != FILEDB_OK) std::fprintf(stderr, "filedb: close: %s\n", error.message);
    filedb_options_free(options_);
  }

  std::unique_ptr<Session> session() override { return std::make_unique<FiledbSession>(db_); }

  std::optional<uint64_t> memory_bytes() override {
    filedb_stats_t stats = FILEDB_STATS_INIT;
    if (filedb_stats(db_, &stats, nullptr) != FILEDB_OK) return std::nullopt;
    return stats.index_bytes;
  }

  // All of them, as the library itself lists them.
  Settings settings() const override {
    Settings settings = {{"version", filedb_version_string()}, {"library", "libfiledb.so, profile dist"}};
    const char* name = nullptr;
    const char* values = nullptr;
    const char* help = nullptr;
    for (size_t i = 0; filedb_options_describe(i, &name, &values, &help) == FILEDB_OK; i++) {
      std::array<char, 64> value = {};
      size_t len = 0;
      if (filedb_options_get(options_, name, value.data(), value.size(), &len, nullptr) == FILEDB_OK) {
        settings.emplace_back(name, value.data());
      }
    }
    return settings;
  }

 private:
  filedb_options_t* options_ = nullptr;
  filedb_t* db_ = nullptr;
};

}  // namespace

std::unique_ptr<Engine> open_filedb(const Config& config) { return std::make_unique<Filedb>(config, "mmap"); }
std::unique_ptr<Engine> open_filedb_pread(const Config& config) { return std::make_unique<Filedb>(config, "pread"); }
std::unique_ptr<Engine> open_filedb_lsm(const Config& config) { return std::make_unique<Filedb>(config, "mmap", "lsm"); }

}  // namespace race
