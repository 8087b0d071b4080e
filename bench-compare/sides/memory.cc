// Stores in memory: put and get of keys of 16 bytes, by some threads. None of them has a file.
#include <tkrzw_dbm_tiny.h>

#include <array>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "sides.h"

namespace sides {
namespace {

struct Key {
  Key(uint64_t n, uint64_t keys) : words{scattered(n, keys), 0x6b65793a6b65793aull} {}
  std::string_view bytes() const { return {reinterpret_cast<const char*>(words), sizeof words}; }
  uint64_t words[2];
};

class FiledbMemory final : public Contestant {
 public:
  explicit FiledbMemory(uint64_t keys) : keys_(keys), db_(open_filedb("memory://", {{"memory_limit", "8GiB"}})) {}
  ~FiledbMemory() override { filedb_close(db_, nullptr); }

  void put(unsigned, uint64_t n, std::string_view value) override {
    filedb_error_t error = no_error();
    const Key key(n, keys_);
    check(filedb_put(db_, key.words, sizeof key.words, value.data(), value.size(), &error), error);
  }

  void take(unsigned, uint64_t n, std::string& value) override {
    filedb_error_t error = no_error();
    const Key key(n, keys_);
    size_t size = 0;
    value.resize(256);
    check(filedb_get_into(db_, key.words, sizeof key.words, value.data(), value.size(), &size, &error), error);
    value.resize(size);
  }

 private:
  uint64_t keys_;
  filedb_t* db_;
};

// What a program has without a store: a map behind locks, one for each part of the keys.
class Maps final : public Contestant {
 public:
  explicit Maps(uint64_t keys) : keys_(keys) {
    for (Shard& shard : shards_) shard.map.reserve(keys / shards_.size() + 1);
  }

  void put(unsigned, uint64_t n, std::string_view value) override {
    std::string key(Key(n, keys_).bytes());
    Shard& shard = of(key);
    const std::lock_guard lock(shard.mutex);
    shard.map[std::move(key)] = value;
  }

  void take(unsigned, uint64_t n, std::string& value) override {
    const std::string key(Key(n, keys_).bytes());
    Shard& shard = of(key);
    const std::shared_lock lock(shard.mutex);
    value = shard.map.at(key);
  }

 private:
  struct alignas(64) Shard {
    std::shared_mutex mutex;
    std::unordered_map<std::string, std::string> map;
  };

  Shard& of(const std::string& key) { return shards_[(std::hash<std::string>()(key) >> 32) % shards_.size()]; }

  uint64_t keys_;
  std::array<Shard, 64> shards_;
};

class Tiny final : public Contestant {
 public:
  // As tkrzw_dbm_tiny.h advises: more buckets than records.
  explicit Tiny(uint64_t keys) : keys_(keys), dbm_(static_cast<int64_t>(keys * 3 / 2)) {}

  void put(unsigned, uint64_t n, std::string_view value) override {
    if (!dbm_.Set(Key(n, keys_).bytes(), value).IsOK()) throw std::runtime_error("TinyDBM does not set");
  }

  void take(unsigned, uint64_t n, std::string& value) override {
    if (!dbm_.Get(Key(n, keys_).bytes(), &value).IsOK()) throw std::runtime_error("TinyDBM has lost a key");
  }

 private:
  uint64_t keys_;
  tkrzw::TinyDBM dbm_;
};

}  // namespace

std::vector<Side> memory(uint64_t keys, unsigned) {
  return {
      {"filedb memory://", [keys] { return std::make_unique<FiledbMemory>(keys); }},
      {"unordered_map", [keys] { return std::make_unique<Maps>(keys); }},
      {"TinyDBM", [keys] { return std::make_unique<Tiny>(keys); }},
  };
}

}  // namespace sides
