// What the operating system says about this process and its files.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace race {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }
  uint64_t nanoseconds() const {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - began_).count());
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point began_ = Clock::now();
};

struct Memory {
  // Resident memory that belongs to no file, and that which does: pages of a mapped file, which the kernel may take back.
  uint64_t anonymous = 0;
  uint64_t mapped_files = 0;
};
Memory resident_memory();

// Touches so many bytes of memory, or half of what is free, and gives them back. In a virtual machine whose host takes back what
// is free, the first touch of a page after that waits for the host, for longer than a store takes to write what goes there: so
// the kernel has memory at hand when a row begins. Where it cannot be done the row does without.
void make_memory_ready(uint64_t bytes);

// Bytes that this process caused to be written to the disk, by calls or by dirtying mapped pages.
uint64_t bytes_written();

// Blocks that the files below a directory take on the disk, in bytes.
uint64_t bytes_on_disk(const std::string& directory);

// Writes back what is dirty on the directory's file system, so that no row pays for the row before it.
void write_back(const std::string& directory);

// Waits until the store's background work is done: for 1.6 s no growth, no shrinking, and hardly any processor time.
// False where it did not come to rest in `limit_seconds`.
bool settle(const std::string& directory, double limit_seconds);

}  // namespace race
