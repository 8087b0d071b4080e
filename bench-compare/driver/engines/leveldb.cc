// LevelDB, after doc/index.md and the comments of options.h.
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "engine.h"

namespace race {
namespace {

void check(const leveldb::Status& status, const char* what) {
  if (!status.ok()) throw std::runtime_error(std::string("leveldb: ") + what + ": " + status.ToString());
}

leveldb::Slice slice(Bytes bytes) { return {bytes.data(), bytes.size()}; }
Bytes bytes(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

class LeveldbSession final : public Session {
 public:
  LeveldbSession(leveldb::DB* db, bool durable) : db_(db) {
    write_.sync = durable;
    // The other stores do that by themselves.
    read_.verify_checksums = true;
  }

  void put(Bytes key, Bytes value) override { check(db_->Put(write_, slice(key), slice(value)), "Put"); }

  void put_many(const std::vector<Pair>& pairs) override {
    leveldb::WriteBatch batch;
    for (const auto& [key, value] : pairs) batch.Put(slice(key), slice(value));
    check(db_->Write(write_, &batch), "Write");
  }

  bool get(Bytes key, Value& value) override {
    const leveldb::Status status = db_->Get(read_, slice(key), &value.text);
    if (status.IsNotFound()) return false;
    check(status, "Get");
    value.bytes = value.text;
    return true;
  }

  void erase(Bytes key) override { check(db_->Delete(write_, slice(key)), "Delete"); }

  void scan(Visitor& visitor) override {
    leveldb::ReadOptions options = read_;
    options.fill_cache = false;
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(options));
    for (it->SeekToFirst(); it->Valid(); it->Next()) visitor.visit(bytes(it->key()), bytes(it->value()));
    check(it->status(), "Iterator");
  }

  void walk(const Walk& walk, Visitor& visitor) override {
    leveldb::ReadOptions options = read_;
    options.fill_cache = walk.most != UINT64_MAX;
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(options));
    if (walk.from.empty()) {
      walk.backwards ? it->SeekToLast() : it->SeekToFirst();
    } else {
      it->Seek(slice(walk.from));
      if (walk.backwards && !it->Valid()) {
        it->SeekToLast();
      } else if (walk.backwards && bytes(it->key()) != walk.from) {
        it->Prev();
      }
    }
    for (uint64_t left = walk.most; left > 0 && it->Valid(); left--) {
      visitor.visit(bytes(it->key()), bytes(it->value()));
      walk.backwards ? it->Prev() : it->Next();
    }
    check(it->status(), "Iterator");
  }

 private:
  leveldb::DB* db_;
  leveldb::ReadOptions read_;
  leveldb::WriteOptions write_;
};

class Leveldb final : public Engine {
 public:
  explicit Leveldb(const Config& config)
      : durable_(config.durable),
        cache_(leveldb::NewLRUCache(config.cache_bytes)),
        filter_(leveldb::NewBloomFilterPolicy(10)),
        cache_bytes_(config.cache_bytes),
        buffer_bytes_(config.buffer_bytes(64 << 20, 16)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = buffer_bytes_;
    options.max_file_size = buffer_bytes_ / 2;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    options.compression = leveldb::kNoCompression;
    leveldb::DB* db = nullptr;
    check(leveldb::DB::Open(options, config.directory, &db), "Open");
    db_.reset(db);
  }

  std::unique_ptr<Session> session() override { return std::make_unique<LeveldbSession>(db_.get(), durable_); }

  Settings settings() const override {
    return {{"version", std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion)},
            {"write_buffer_size", std::to_string(buffer_bytes_ >> 20) + " MiB"},
            {"max_file_size", std::to_string(buffer_bytes_ >> 21) + " MiB"},
            {"block_cache", std::to_string(cache_bytes_ >> 20) + " MiB"},
            {"filter_policy", "bloom, 10 bits"},
            {"compression", "none: the values do not compress"},
            {"ReadOptions.verify_checksums", "true"},
            {"WriteOptions.sync", durable_ ? "true" : "false"}};
  }

  std::optional<uint64_t> memory_bytes() override {
    std::string text;
    if (!db_->GetProperty("leveldb.approximate-memory-usage", &text)) return std::nullopt;
    return std::stoull(text);
  }

 private:
  bool durable_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  uint64_t cache_bytes_;
  uint64_t buffer_bytes_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

std::unique_ptr<Engine> open_leveldb(const Config& config) { return std::make_unique<Leveldb>(config); }

}  // namespace race
