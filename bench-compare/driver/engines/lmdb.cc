// LMDB, after the comments of lmdb.h: one read transaction per thread, reset and renewed, and one write transaction per put.
#include <lmdb.h>

#include "engine.h"

namespace race {
namespace {

void check(int code, const char* what) {
  if (code != MDB_SUCCESS) throw std::runtime_error(std::string("lmdb: ") + what + ": " + mdb_strerror(code));
}

MDB_val val(Bytes bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
Bytes bytes(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }

class LmdbSession final : public Session {
 public:
  LmdbSession(MDB_env* env, MDB_dbi dbi) : env_(env), dbi_(dbi) {
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader_), "txn_begin");
    mdb_txn_reset(reader_);
  }
  ~LmdbSession() override { mdb_txn_abort(reader_); }

  void put(Bytes key, Bytes value) override {
    MDB_txn* txn = begin();
    put(txn, key, value);
    check(mdb_txn_commit(txn), "txn_commit");
  }

  void put_many(const std::vector<Pair>& pairs) override {
    MDB_txn* txn = begin();
    for (const auto& [key, value] : pairs) put(txn, key, value);
    check(mdb_txn_commit(txn), "txn_commit");
  }

  bool get(Bytes key, Value& value) override {
    check(mdb_txn_renew(reader_), "txn_renew");
    MDB_val k = val(key);
    MDB_val v = {};
    const int code = mdb_get(reader_, dbi_, &k, &v);
    // What it points to is there until the transaction ends.
    if (code == MDB_SUCCESS) value.copy(v.mv_data, v.mv_size);
    mdb_txn_reset(reader_);
    if (code == MDB_NOTFOUND) return false;
    check(code, "get");
    return true;
  }

  void erase(Bytes key) override {
    MDB_txn* txn = begin();
    MDB_val k = val(key);
    const int code = mdb_del(txn, dbi_, &k, nullptr);
    if (code != MDB_NOTFOUND) check(code, "del");
    check(mdb_txn_commit(txn), "txn_commit");
  }

  void scan(Visitor& visitor) override {
    check(mdb_txn_renew(reader_), "txn_renew");
    MDB_cursor* cursor = nullptr;
    check(mdb_cursor_open(reader_, dbi_, &cursor), "cursor_open");
    MDB_val k = {};
    MDB_val v = {};
    int code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (code == MDB_SUCCESS) {
      visitor.visit(bytes(k), bytes(v));
      code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    mdb_txn_reset(reader_);
    if (code != MDB_NOTFOUND) check(code, "cursor_get");
  }

 private:
  MDB_txn* begin() {
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn), "txn_begin");
    return txn;
  }

  void put(MDB_txn* txn, Bytes key, Bytes value) {
    MDB_val k = val(key);
    MDB_val v = val(value);
    check(mdb_put(txn, dbi_, &k, &v, 0), "put");
  }

  MDB_env* env_;
  MDB_dbi dbi_;
  MDB_txn* reader_ = nullptr;
};

class Lmdb final : public Engine {
 public:
  explicit Lmdb(const Config& config) : durable_(config.durable) {
    check(mdb_env_create(&env_), "env_create");
    map_size_ = (config.keys * (config.value_size + 128) * 4 + (4ull << 30)) & ~uint64_t{0xFFFF};
    check(mdb_env_set_mapsize(env_, map_size_), "set_mapsize");
    // Two sessions of one thread never read at once, but they may both hold a transaction: MDB_NOTLS.
    // lmdb.h advises MDB_NORDAHEAD where the data is larger than the memory.
    const unsigned no_readahead = config.memory_bytes > 0 ? MDB_NORDAHEAD : 0u;
    const unsigned flags = MDB_NOTLS | no_readahead | (durable_ ? 0u : MDB_WRITEMAP | MDB_NOSYNC);
    check(mdb_env_open(env_, config.directory.c_str(), flags, 0644), "env_open");
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn), "txn_begin");
    check(mdb_dbi_open(txn, nullptr, 0, &dbi_), "dbi_open");
    check(mdb_txn_commit(txn), "txn_commit");
  }

  ~Lmdb() override {
    // What NOSYNC left behind: a clean close is durable with every store of this race.
    mdb_env_sync(env_, 1);
    mdb_env_close(env_);
  }

  std::unique_ptr<Session> session() override { return std::make_unique<LmdbSession>(env_, dbi_); }

  Settings settings() const override {
    return {{"version", mdb_version(nullptr, nullptr, nullptr)},
            {"flags", durable_ ? "MDB_NOTLS" : "MDB_NOTLS, MDB_WRITEMAP, MDB_NOSYNC"},
            {"map size", std::to_string(map_size_ >> 20) + " MiB, sparse"},
            {"write", "one transaction per put"},
            {"read", "one transaction per thread, renewed and reset for each get"}};
  }

 private:
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
  uint64_t map_size_ = 0;
  bool durable_;
};

}  // namespace

std::unique_ptr<Engine> open_lmdb(const Config& config) { return std::make_unique<Lmdb>(config); }

}  // namespace race
