// RocksDB, after its wiki ("Setup Options and Basic Tuning", "RocksDB Tuning Guide") and its own helpers for point lookups.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include "engine.h"

namespace race {
namespace {

void check(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) throw std::runtime_error(std::string("rocksdb: ") + what + ": " + status.ToString());
}

rocksdb::Slice slice(Bytes bytes) { return {bytes.data(), bytes.size()}; }
Bytes bytes(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

class RocksdbSession final : public Session {
 public:
  RocksdbSession(rocksdb::DB* db, bool durable) : db_(db), family_(db->DefaultColumnFamily()) { write_.sync = durable; }

  void put(Bytes key, Bytes value) override { check(db_->Put(write_, family_, slice(key), slice(value)), "Put"); }

  void put_many(const std::vector<Pair>& pairs) override {
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : pairs) check(batch.Put(slice(key), slice(value)), "WriteBatch::Put");
    check(db_->Write(write_, &batch), "Write");
  }

  bool get(Bytes key, Value& value) override {
    pinned_.Reset();
    const rocksdb::Status status = db_->Get(read_, family_, slice(key), &pinned_);
    if (status.IsNotFound()) return false;
    check(status, "Get");
    value.copy(pinned_.data(), pinned_.size());
    return true;
  }

  bool get_many(const std::vector<Bytes>& keys, Visitor& visitor) override {
    slices_.clear();
    for (const Bytes key : keys) slices_.push_back(slice(key));
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet(read_, family_, keys.size(), slices_.data(), values.data(), statuses.data());
    for (size_t i = 0; i < keys.size(); i++) {
      check(statuses[i], "MultiGet");
      visitor.visit(keys[i], bytes(values[i]));
    }
    return true;
  }

  void erase(Bytes key) override { check(db_->Delete(write_, family_, slice(key)), "Delete"); }

  void scan(Visitor& visitor) override {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, family_));
    for (it->SeekToFirst(); it->Valid(); it->Next()) visitor.visit(bytes(it->key()), bytes(it->value()));
    check(it->status(), "Iterator");
  }

  void walk(const Walk& walk, Visitor& visitor) override {
    rocksdb::ReadOptions options;
    options.fill_cache = walk.most != UINT64_MAX;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, family_));
    if (walk.from.empty()) {
      walk.backwards ? it->SeekToLast() : it->SeekToFirst();
    } else {
      walk.backwards ? it->SeekForPrev(slice(walk.from)) : it->Seek(slice(walk.from));
    }
    for (uint64_t left = walk.most; left > 0 && it->Valid(); left--) {
      visitor.visit(bytes(it->key()), bytes(it->value()));
      walk.backwards ? it->Prev() : it->Next();
    }
    check(it->status(), "Iterator");
  }

 private:
  rocksdb::DB* db_;
  rocksdb::ColumnFamilyHandle* family_;
  rocksdb::ReadOptions read_;
  rocksdb::WriteOptions write_;
  rocksdb::PinnableSlice pinned_;
  std::vector<rocksdb::Slice> slices_;
};

class Rocksdb final : public Engine {
 public:
  explicit Rocksdb(const Config& config)
      : durable_(config.durable),
        cache_bytes_(config.cache_bytes),
        buffer_bytes_(config.buffer_bytes(512 << 20, 8)) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.IncreaseParallelism(static_cast<int>(config.threads));
    options.OptimizeLevelStyleCompaction(buffer_bytes_);
    options.level_compaction_dynamic_level_bytes = true;
    options.bytes_per_sync = 1 << 20;
    options.compression = rocksdb::kNoCompression;
    options.compression_per_level.clear();

    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(cache_bytes_);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
    table.cache_index_and_filter_blocks = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    table.data_block_hash_table_util_ratio = 0.75;
    table.format_version = 5;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    // These two are what OptimizeForPointLookup() sets besides the table.
    options.memtable_prefix_bloom_size_ratio = 0.02;
    options.memtable_whole_key_filtering = true;

    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(options, config.directory, &db), "Open");
    db_.reset(db);
  }

  ~Rocksdb() override { db_->Close().PermitUncheckedError(); }

  std::unique_ptr<Session> session() override { return std::make_unique<RocksdbSession>(db_.get(), durable_); }

  Settings settings() const override {
    return {{"version", rocksdb::GetRocksVersionAsString()},
            {"IncreaseParallelism", "the number of cores"},
            {"OptimizeLevelStyleCompaction", std::to_string(buffer_bytes_ >> 20) + " MiB of memtables"},
            {"as OptimizeForPointLookup", "hash index in data blocks, whole-key bloom filter for memtables"},
            {"level_compaction_dynamic_level_bytes", "true"},
            {"bytes_per_sync", "1 MiB"},
            {"block_cache", std::to_string(cache_bytes_ >> 20) + " MiB, LRU, indexes and filters in it"},
            {"filter_policy", "bloom, 10 bits"},
            {"compression", "none: the values do not compress"},
            {"WAL", "on"},
            {"WriteOptions.sync", durable_ ? "true" : "false"}};
  }

  std::optional<uint64_t> memory_bytes() override {
    uint64_t sum = 0;
    for (const char* name : {"rocksdb.cur-size-all-mem-tables", "rocksdb.estimate-table-readers-mem",
                             "rocksdb.block-cache-usage"}) {
      uint64_t bytes = 0;
      if (!db_->GetIntProperty(name, &bytes)) return std::nullopt;
      sum += bytes;
    }
    return sum;
  }

 private:
  bool durable_;
  uint64_t cache_bytes_;
  uint64_t buffer_bytes_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<Engine> open_rocksdb(const Config& config) { return std::make_unique<Rocksdb>(config); }

}  // namespace race
