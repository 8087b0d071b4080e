// SQLite, after its documentation (wal.html, withoutrowid.html, mmap.html): WAL, prepared statements, a connection per thread.
#include <sqlite3.h>

#include <mutex>

#include "engine.h"

namespace race {
namespace {

// One page of a B-tree should hold at least 20 rows of a table without rowid.
constexpr size_t kLargestRowWithoutRowid = 200;

class Connection {
 public:
  explicit Connection(const std::string& path) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(path.c_str(), &db_, flags, nullptr);
    if (code != SQLITE_OK) throw std::runtime_error("sqlite: cannot open " + path);
    sqlite3_busy_timeout(db_, 60'000);
  }
  ~Connection() { sqlite3_close_v2(db_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void run(const std::string& sql) { check(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), sql.c_str()); }

  void check(int code, const char* what) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    throw std::runtime_error(std::string("sqlite: ") + what + ": " + sqlite3_errmsg(db_));
  }

  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr), sql);
    return statement;
  }

 private:
  sqlite3* db_ = nullptr;
};

std::string pragmas(bool durable) {
  return std::string("PRAGMA journal_mode=WAL; PRAGMA synchronous=") + (durable ? "FULL" : "OFF") +
         "; PRAGMA mmap_size=2147418112; PRAGMA cache_size=-262144; PRAGMA temp_store=MEMORY;";
}

class SqliteSession final : public Session {
 public:
  SqliteSession(const std::string& path, bool durable, std::mutex& writer) : connection_(path), writer_(writer) {
    connection_.run(pragmas(durable));
    put_ = connection_.prepare("INSERT INTO kv(k, v) VALUES(?1, ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v");
    get_ = connection_.prepare("SELECT v FROM kv WHERE k = ?1");
    erase_ = connection_.prepare("DELETE FROM kv WHERE k = ?1");
    scan_ = connection_.prepare("SELECT k, v FROM kv");
  }

  ~SqliteSession() override {
    for (sqlite3_stmt* statement : {put_, get_, erase_, scan_}) sqlite3_finalize(statement);
  }

  // There is one writer at a time. A mutex is a fairer queue for it than the busy handler, which sleeps.
  void put(Bytes key, Bytes value) override {
    const std::lock_guard<std::mutex> guard(writer_);
    put_one(key, value);
  }

  void put_many(const std::vector<Pair>& pairs) override {
    const std::lock_guard<std::mutex> guard(writer_);
    connection_.run("BEGIN IMMEDIATE");
    for (const auto& [key, value] : pairs) put_one(key, value);
    connection_.run("COMMIT");
  }

  bool get(Bytes key, Value& value) override {
    bind(get_, 1, key);
    const int code = sqlite3_step(get_);
    connection_.check(code, "select");
    if (code == SQLITE_ROW) {
      const void* blob = sqlite3_column_blob(get_, 0);
      value.copy(blob, static_cast<size_t>(sqlite3_column_bytes(get_, 0)));
    }
    connection_.check(sqlite3_reset(get_), "select");
    return code == SQLITE_ROW;
  }

  void erase(Bytes key) override {
    const std::lock_guard<std::mutex> guard(writer_);
    bind(erase_, 1, key);
    sqlite3_step(erase_);
    connection_.check(sqlite3_reset(erase_), "delete");
  }

  void scan(Visitor& visitor) override {
    while (sqlite3_step(scan_) == SQLITE_ROW) visitor.visit(column(0), column(1));
    connection_.check(sqlite3_reset(scan_), "select");
  }

 private:
  void put_one(Bytes key, Bytes value) {
    bind(put_, 1, key);
    bind(put_, 2, value);
    sqlite3_step(put_);
    connection_.check(sqlite3_reset(put_), "insert");
  }

  void bind(sqlite3_stmt* statement, int i, Bytes bytes) {
    connection_.check(sqlite3_bind_blob64(statement, i, bytes.data(), bytes.size(), SQLITE_STATIC), "bind");
  }

  Bytes column(int i) {
    const void* blob = sqlite3_column_blob(scan_, i);
    return {static_cast<const char*>(blob), static_cast<size_t>(sqlite3_column_bytes(scan_, i))};
  }

  Connection connection_;
  std::mutex& writer_;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
  sqlite3_stmt* scan_ = nullptr;
};

class Sqlite final : public Engine {
 public:
  explicit Sqlite(const Config& config)
      : path_(config.directory + "/kv.sqlite"),
        durable_(config.durable),
        without_rowid_(config.value_size + 16 <= kLargestRowWithoutRowid),
        connection_(path_) {
    connection_.run(pragmas(durable_));
    connection_.run(std::string("CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL)") +
                    (without_rowid_ ? " WITHOUT ROWID" : ""));
  }

  std::unique_ptr<Session> session() override { return std::make_unique<SqliteSession>(path_, durable_, writer_); }

  Settings settings() const override {
    return {{"version", sqlite3_libversion()},
            {"journal_mode", "WAL"},
            {"synchronous", durable_ ? "FULL" : "OFF"},
            {"mmap_size", "2 GiB, the most it takes"},
            {"cache_size", "256 MiB per connection"},
            {"table", without_rowid_ ? "k BLOB PRIMARY KEY, v BLOB; WITHOUT ROWID" : "k BLOB PRIMARY KEY, v BLOB"},
            {"statements", "prepared, one transaction each"},
            {"threads", "one connection each, SQLITE_OPEN_NOMUTEX, writers queue at a mutex"}};
  }

  std::optional<uint64_t> memory_bytes() override { return static_cast<uint64_t>(sqlite3_memory_used()); }

 private:
  std::string path_;
  bool durable_;
  bool without_rowid_;
  std::mutex writer_;
  Connection connection_;
};

}  // namespace

std::unique_ptr<Engine> open_sqlite(const Config& config) { return std::make_unique<Sqlite>(config); }

}  // namespace race
