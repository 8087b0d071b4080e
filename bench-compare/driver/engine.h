// What the race asks of a store: one small interface, implemented once per store in engines/.
//
// An adapter calls the public API of its store in the way that its documentation recommends, and nothing else: no caching,
// no short cuts. Whatever goes wrong is thrown as std::runtime_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace race {

using Bytes = std::string_view;
using Pair = std::pair<Bytes, Bytes>;
// Name and value, as they are shown to people.
using Settings = std::vector<std::pair<std::string, std::string>>;

struct Config {
  std::string directory;
  uint64_t keys = 0;
  size_t value_size = 0;
  unsigned threads = 1;
  // Memory for the caches of the stores that have one.
  uint64_t cache_bytes = 0;
  // All memory that the process may take, its files' pages included; 0 where that is the machine's.
  uint64_t memory_bytes = 0;
  // What a store is advised to keep in memory before it writes: so much, and no more than this part of all memory.
  uint64_t buffer_bytes(uint64_t advised, uint64_t part) const {
    return memory_bytes > 0 && memory_bytes / part < advised ? memory_bytes / part : advised;
  }
  // A write has reached the disk when its call returns.
  bool durable = false;
};

// Where a value that was read ends up: in memory of the caller's.
struct Value {
  explicit Value(size_t capacity) : buffer(capacity) {}
  // For stores that copy to a buffer, or lend their own memory for a moment.
  std::vector<char> buffer;
  // For stores that fill a string.
  std::string text;
  // The value: points into one of both.
  Bytes bytes;

  void copy(const void* data, size_t size) {
    if (size > buffer.size()) throw std::runtime_error("a value is longer than any that was stored");
    std::char_traits<char>::copy(buffer.data(), static_cast<const char*>(data), size);
    bytes = Bytes(buffer.data(), size);
  }
};

class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void visit(Bytes key, Bytes value) = 0;
};

// A part of all keys in the order of their bytes, or against it.
struct Walk {
  // The first key that is shown, or what is in the place of it; empty for the beginning, or backwards for the end.
  Bytes from;
  bool backwards = false;
  uint64_t most = UINT64_MAX;
};

// What one thread does with an open store.
class Session {
 public:
  virtual ~Session() = default;
  // When it returns, every reader sees the value; if the store was opened durable, it has reached the disk.
  virtual void put(Bytes key, Bytes value) = 0;
  // All at once, with the store's own means for that.
  virtual void put_many(const std::vector<Pair>& pairs) = 0;
  // False where there is no such key.
  virtual bool get(Bytes key, Value& value) = 0;
  // Values in place, the i-th for the i-th key; all keys exist. False where the store has no such call.
  virtual bool get_many(const std::vector<Bytes>& /*keys*/, Visitor& /*visitor*/) { return false; }
  virtual void erase(Bytes key) = 0;
  // Every key and its value, in the order that the store likes best.
  virtual void scan(Visitor& visitor) = 0;
  // For stores that keep their keys in order.
  virtual void walk(const Walk& /*walk*/, Visitor& /*visitor*/) { throw std::runtime_error("this store has no order"); }
};

// An open store: open from its constructor to its destructor, which closes it cleanly.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::unique_ptr<Session> session() = 0;
  virtual Settings settings() const = 0;
  // What the store itself says that it takes of memory, if it says that.
  virtual std::optional<uint64_t> memory_bytes() { return std::nullopt; }
};

struct EngineKind {
  const char* name;
  std::unique_ptr<Engine> (*open)(const Config&);
};

std::unique_ptr<Engine> open_filedb(const Config&);
std::unique_ptr<Engine> open_filedb_pread(const Config&);
std::unique_ptr<Engine> open_filedb_lsm(const Config&);
std::unique_ptr<Engine> open_floor(const Config&);
std::unique_ptr<Engine> open_lmdb(const Config&);
std::unique_ptr<Engine> open_leveldb(const Config&);
std::unique_ptr<Engine> open_rocksdb(const Config&);
std::unique_ptr<Engine> open_tkrzw(const Config&);
std::unique_ptr<Engine> open_sqlite(const Config&);
std::unique_ptr<Engine> open_redb(const Config&);
std::unique_ptr<Engine> open_fjall(const Config&);
std::unique_ptr<Engine> open_sled(const Config&);
std::unique_ptr<Engine> open_candystore(const Config&);

inline constexpr EngineKind kEngines[] = {
    {"filedb", open_filedb}, {"filedb_pread", open_filedb_pread}, {"filedb_lsm", open_filedb_lsm},
    {"floor", open_floor},   {"lmdb", open_lmdb},                 {"leveldb", open_leveldb},
    {"rocksdb", open_rocksdb}, {"tkrzw", open_tkrzw},             {"sqlite", open_sqlite},
    {"redb", open_redb},     {"fjall", open_fjall},               {"sled", open_sled},
    {"candystore", open_candystore},
};

}  // namespace race
