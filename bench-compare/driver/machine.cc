#include "machine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace race {
namespace {

// The number behind `name` in a file of lines as "name: 12 kB".
uint64_t number_in(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  uint64_t number = 0;
  while (file >> word) {
    if (word == name && file >> number) return number;
  }
  throw std::runtime_error(std::string(path) + " has no " + name);
}

double processor_seconds() {
  timespec now = {};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0) throw std::runtime_error("no clock for this process");
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

Memory resident_memory() {
  const char* status = "/proc/self/status";
  return {number_in(status, "RssAnon:") * 1024, (number_in(status, "RssFile:") + number_in(status, "RssShmem:")) * 1024};
}

void make_memory_ready(uint64_t bytes) {
  constexpr uint64_t kPage = 4096;
  const uint64_t size = std::min(bytes, number_in("/proc/meminfo", "MemFree:") * 1024 / 2) / kPage * kPage;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  // In large pages it is done in a third of the time; without them it works as well.
  madvise(memory, size, MADV_HUGEPAGE);
  for (uint64_t at = 0; at < size; at += kPage) static_cast<volatile char*>(memory)[at] = 1;
  munmap(memory, size);
}

uint64_t bytes_written() { return number_in("/proc/self/io", "write_bytes:"); }

uint64_t bytes_on_disk(const std::string& directory) {
  // Files may go while we look.
  uint64_t bytes = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, gone)) {
    struct stat status = {};
    if (lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

void write_back(const std::string& directory) {
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0 || syncfs(file) != 0) throw std::runtime_error("cannot sync the file system of " + directory);
  close(file);
}

bool settle(const std::string& directory, double limit_seconds) {
  constexpr double kStep = 0.1;
  constexpr int kQuietSteps = 16;
  constexpr double kIdle = 0.04;
  const Stopwatch watch;
  uint64_t bytes = bytes_on_disk(directory);
  double processor = processor_seconds();
  int quiet = 0;
  while (quiet < kQuietSteps) {
    if (watch.seconds() > limit_seconds) return false;
    std::this_thread::sleep_for(std::chrono::duration<double>(kStep));
    const uint64_t bytes_now = bytes_on_disk(directory);
    const double processor_now = processor_seconds();
    quiet = bytes_now == bytes && processor_now - processor < kStep * kIdle ? quiet + 1 : 0;
    bytes = bytes_now;
    processor = processor_now;
  }
  return true;
}

}  // namespace race
