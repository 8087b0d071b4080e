// The bare floor: what one put and one get of a store with an index in memory cost at least on this machine.
//
// A put is a slot of an open-addressing table (16 bytes: fingerprint, place) and a copy into a mapped file whose blocks were
// reserved before. A get is that slot, the record behind it, a comparison of the key and a copy of the value. No checksum, no
// growing, no locks, no deletes, no recovery: one thread writes, any number reads. It is no store.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "engine.h"
#include "workload.h"

namespace race {
namespace {

struct Slot {
  uint64_t fingerprint;
  // Where the record begins, plus one: 0 is an empty slot.
  uint64_t place;
};

struct RecordHeader {
  uint32_t key_size;
  uint32_t value_size;
};

class Floor final : public Engine, public Session {
 public:
  explicit Floor(const Config& config) {
    const uint64_t record = (sizeof(RecordHeader) + kKeySize + config.value_size + 7) & ~uint64_t{7};
    // A load, and everything overwritten once.
    capacity_ = record * config.keys * 2 + 4096;
    const std::string path = config.directory + "/floor";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || posix_fallocate(file, 0, static_cast<off_t>(capacity_)) != 0) {
      throw std::runtime_error("floor: cannot reserve " + std::to_string(capacity_) + " bytes in " + path);
    }
    log_ = static_cast<char*>(map(capacity_, MAP_SHARED, file));
    ::close(file);
    uint64_t slots = 1024;
    while (slots * 2 < config.keys * 3) slots *= 2;
    mask_ = slots - 1;
    table_ = static_cast<Slot*>(map(slots * sizeof(Slot), MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1));
  }

  ~Floor() override {
    munmap(log_, capacity_);
    munmap(table_, (mask_ + 1) * sizeof(Slot));
  }
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;

  std::unique_ptr<Session> session() override { return std::make_unique<Reference>(*this); }

  Settings settings() const override {
    return {{"what it is", "no store: an index slot and a record copy, without checksums, locks or growth"}};
  }

  void put(Bytes key, Bytes value) override {
    const uint64_t size = (sizeof(RecordHeader) + key.size() + value.size() + 7) & ~uint64_t{7};
    if (tail_ + size > capacity_) throw std::runtime_error("floor: full");
    char* record = log_ + tail_;
    const RecordHeader header = {static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
    std::memcpy(record, &header, sizeof header);
    std::memcpy(record + sizeof header, key.data(), key.size());
    std::memcpy(record + sizeof header + key.size(), value.data(), value.size());
    const uint64_t fingerprint = hash(key);
    Slot* slot = table_ + (fingerprint & mask_);
    while (slot->place != 0 && slot->fingerprint != fingerprint) slot = next(slot);
    *slot = {fingerprint, tail_ + 1};
    tail_ += size;
  }

  void put_many(const std::vector<Pair>& pairs) override {
    for (const auto& [key, value] : pairs) put(key, value);
  }

  bool get(Bytes key, Value& value) override {
    const uint64_t fingerprint = hash(key);
    for (const Slot* slot = table_ + (fingerprint & mask_); slot->place != 0; slot = next(slot)) {
      if (slot->fingerprint != fingerprint) continue;
      const char* record = log_ + slot->place - 1;
      RecordHeader header;
      std::memcpy(&header, record, sizeof header);
      if (Bytes(record + sizeof header, header.key_size) != key) continue;
      value.copy(record + sizeof header + header.key_size, header.value_size);
      return true;
    }
    return false;
  }

  void erase(Bytes) override { throw std::runtime_error("floor: no deletes"); }
  void scan(Visitor&) override { throw std::runtime_error("floor: no scan"); }

 private:
  // A session for each thread, all of them this one object.
  class Reference final : public Session {
   public:
    explicit Reference(Floor& floor) : floor_(floor) {}
    void put(Bytes key, Bytes value) override { floor_.Floor::put(key, value); }
    void put_many(const std::vector<Pair>& pairs) override { floor_.Floor::put_many(pairs); }
    bool get(Bytes key, Value& value) override { return floor_.Floor::get(key, value); }
    void erase(Bytes key) override { floor_.Floor::erase(key); }
    void scan(Visitor& visitor) override { floor_.Floor::scan(visitor); }

   private:
    Floor& floor_;
  };

  static void* map(uint64_t size, int flags, int file) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, file, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("floor: no memory");
    return memory;
  }

  static uint64_t hash(Bytes key) {
    uint64_t halves[2] = {0, 0};
    std::memcpy(halves, key.data(), key.size() < sizeof halves ? key.size() : sizeof halves);
    return mix(halves[0]) ^ mix(halves[1] + 1);
  }

  template <class S>
  S* next(S* slot) const {
    return slot == table_ + mask_ ? table_ : slot + 1;
  }

  char* log_ = nullptr;
  uint64_t capacity_ = 0;
  uint64_t tail_ = 0;
  Slot* table_ = nullptr;
  uint64_t mask_ = 0;
};

}  // namespace

std::unique_ptr<Engine> open_floor(const Config& config) { return std::make_unique<Floor>(config); }

}  // namespace race
