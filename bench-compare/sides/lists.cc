// Lists: push at the back and pop at the front, by one thread. LMDB has none: a number for each element is the key, in the order
// of which they are, and a transaction for each, without syncs, as filedb's sync=none.
#include <arpa/inet.h>
#include <lmdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "sides.h"

namespace sides {
namespace {

class FiledbList final : public Contestant {
 public:
  FiledbList(const std::string& path, const char* engine)
      : db_(open_filedb(path, {{"sync", "none"}, {"engine", engine}})) {}
  ~FiledbList() override { filedb_close(db_, nullptr); }

  void put(unsigned, uint64_t, std::string_view value) override {
    filedb_error_t error = no_error();
    check(filedb_push_back(db_, "list", 4, value.data(), value.size(), nullptr, &error), error);
  }

  void take(unsigned, uint64_t, std::string& value) override {
    filedb_error_t error = no_error();
    void* data = nullptr;
    size_t size = 0;
    check(filedb_pop_front(db_, "list", 4, &data, &size, &error), error);
    value.assign(static_cast<const char*>(data), size);
    filedb_free(data);
  }

 private:
  filedb_t* db_;
};

class LmdbList final : public Contestant {
 public:
  explicit LmdbList(const std::string& path) {
    std::filesystem::create_directories(path);
    ok(mdb_env_create(&env_));
    ok(mdb_env_set_mapsize(env_, 8ull << 30));
    ok(mdb_env_open(env_, path.c_str(), MDB_WRITEMAP | MDB_NOSYNC, 0644));
    MDB_txn* txn = nullptr;
    ok(mdb_txn_begin(env_, nullptr, 0, &txn));
    ok(mdb_dbi_open(txn, nullptr, MDB_INTEGERKEY, &dbi_));
    ok(mdb_txn_commit(txn));
  }
  ~LmdbList() override { mdb_env_close(env_); }

  void put(unsigned, uint64_t, std::string_view value) override {
    MDB_txn* txn = nullptr;
    ok(mdb_txn_begin(env_, nullptr, 0, &txn));
    // Who pushes asks for the last number in the same transaction: another process may have pushed.
    uint64_t number = 0;
    MDB_cursor* cursor = nullptr;
    ok(mdb_cursor_open(txn, dbi_, &cursor));
    MDB_val last = {}, there = {};
    const int found = mdb_cursor_get(cursor, &last, &there, MDB_LAST);
    if (found != MDB_NOTFOUND) {
      ok(found);
      number = *static_cast<uint64_t*>(last.mv_data) + 1;
    }
    MDB_val key = {sizeof number, &number}, data = {value.size(), const_cast<char*>(value.data())};
    ok(mdb_cursor_put(cursor, &key, &data, MDB_APPEND));
    mdb_cursor_close(cursor);
    ok(mdb_txn_commit(txn));
  }

  void take(unsigned, uint64_t, std::string& value) override {
    MDB_txn* txn = nullptr;
    ok(mdb_txn_begin(env_, nullptr, 0, &txn));
    MDB_cursor* cursor = nullptr;
    ok(mdb_cursor_open(txn, dbi_, &cursor));
    MDB_val key = {}, data = {};
    ok(mdb_cursor_get(cursor, &key, &data, MDB_FIRST));
    value.assign(static_cast<const char*>(data.mv_data), data.mv_size);
    ok(mdb_cursor_del(cursor, 0));
    mdb_cursor_close(cursor);
    ok(mdb_txn_commit(txn));
  }

 private:
  static void ok(int code) {
    if (code != MDB_SUCCESS) throw std::runtime_error(std::string("lmdb: ") + mdb_strerror(code));
  }

  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

// A request and its reply at a time, over loopback.
class RedisList final : public Contestant {
 public:
  explicit RedisList(const std::string& port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoul(port)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      throw std::runtime_error("redis does not listen");
    }
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ask("*1\r\n$8\r\nFLUSHALL\r\n", 1);
  }
  ~RedisList() override { ::close(socket_); }

  void put(unsigned, uint64_t, std::string_view value) override {
    request_.assign("*3\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$").append(std::to_string(value.size()));
    request_.append("\r\n").append(value).append("\r\n");
    ask(request_, 1);
    if (reply_.front() != ':') throw std::runtime_error("redis: " + reply_);
  }

  void take(unsigned, uint64_t, std::string& value) override {
    ask("*2\r\n$4\r\nLPOP\r\n$4\r\nlist\r\n", 2);
    if (reply_.front() != '$' || reply_[1] == '-') throw std::runtime_error("redis: " + reply_);
    const size_t begin = reply_.find('\n') + 1;
    value.assign(reply_, begin, reply_.size() - begin - 2);
  }

 private:
  // Sends a request, and reads a reply of so many lines.
  void ask(std::string_view request, int lines) {
    while (!request.empty()) {
      const ssize_t sent = ::send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
      if (sent <= 0) throw std::runtime_error("redis hung up");
      request.remove_prefix(static_cast<size_t>(sent));
    }
    reply_.clear();
    for (int seen = 0; seen < lines;) {
      char buffer[512];
      const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
      if (got <= 0) throw std::runtime_error("redis hung up");
      for (ssize_t at = 0; at < got; at++) seen += buffer[at] == '\n';
      reply_.append(buffer, static_cast<size_t>(got));
      if (reply_.front() == '-' || reply_.compare(0, 2, "$-") == 0) return;
    }
  }

  int socket_;
  std::string request_, reply_;
};

}  // namespace

std::vector<Side> lists(const std::string& directory, const std::string& redis_port) {
  const auto fresh = [directory](const char* name) {
    const std::string path = directory + "/" + name;
    std::filesystem::remove_all(path);
    return path;
  };
  return {
      {"filedb", [fresh] { return std::make_unique<FiledbList>(fresh("filedb"), "bitcask"); }},
      {"filedb lsm", [fresh] { return std::make_unique<FiledbList>(fresh("lsm"), "lsm"); }},
      {"LMDB", [fresh] { return std::make_unique<LmdbList>(fresh("lmdb")); }},
      {"Redis", [redis_port] { return std::make_unique<RedisList>(redis_port); }},
  };
}

}  // namespace sides
