// Contestants, what each is asked to do, and how long that takes.
#pragma once

#include <filedb.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sides {

// Who does a row. Each call is one operation; n is the number of the operation.
class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual void put(unsigned thread, uint64_t n, std::string_view value) = 0;
  // What it finds there; an error where there is nothing.
  virtual void take(unsigned thread, uint64_t n, std::string& value) = 0;
};

using Make = std::function<std::unique_ptr<Contestant>()>;

struct Side {
  const char* name;
  Make make;
};

std::vector<Side> lists(const std::string& directory, const std::string& redis_port);
std::vector<Side> memory(uint64_t keys, unsigned threads);

inline void check(filedb_status_t status, const filedb_error_t& error) {
  if (status != FILEDB_OK) throw std::runtime_error(std::string("filedb: ") + error.message);
}

inline filedb_error_t no_error() {
  filedb_error_t error = {};
  error.struct_size = sizeof error;
  return error;
}

// A store with these options, name and value in turn.
filedb_t* open_filedb(const std::string& path, const std::vector<std::pair<const char*, const char*>>& options);

// Keys in an order that no cache knows.
inline uint64_t scattered(uint64_t n, uint64_t keys) { return n * 0x9e3779b97f4a7c15ull % keys; }

}  // namespace sides
