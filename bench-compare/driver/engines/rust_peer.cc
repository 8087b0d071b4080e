// redb, fjall, sled and candystore: the tables of functions that ../../peers exports, behind the interface of the race.
#include "engine.h"
#include "peer_abi.h"

namespace race {
namespace {

int32_t check(int32_t code, const char* what) {
  if (code < 0) throw std::runtime_error(std::string(what) + ": " + race_peer_error());
  return code;
}

// What a Rust store calls for each entry. An exception must not pass through Rust: it waits until the scan has ended.
struct Shower {
  Visitor& visitor;
  std::exception_ptr failure;

  static void visit(void* context, const void* key, size_t key_len, const void* value, size_t value_len) noexcept {
    auto& shower = *static_cast<Shower*>(context);
    if (shower.failure) return;
    try {
      shower.visitor.visit(Bytes(static_cast<const char*>(key), key_len), Bytes(static_cast<const char*>(value), value_len));
    } catch (...) {
      shower.failure = std::current_exception();
    }
  }
};

class PeerSession final : public Session {
 public:
  PeerSession(const race_peer& peer, void* store) : peer_(peer), store_(store) {}

  void put(Bytes key, Bytes value) override {
    check(peer_.put(store_, key.data(), key.size(), value.data(), value.size()), "put");
  }

  void put_many(const std::vector<Pair>& pairs) override {
    pairs_.clear();
    for (const auto& [key, value] : pairs) pairs_.push_back({key.data(), key.size(), value.data(), value.size()});
    check(peer_.put_many(store_, pairs_.data(), pairs_.size()), "put_many");
  }

  bool get(Bytes key, Value& value) override {
    size_t size = 0;
    if (check(peer_.get(store_, key.data(), key.size(), value.buffer.data(), value.buffer.size(), &size), "get") == 1) {
      return false;
    }
    value.bytes = Bytes(value.buffer.data(), size);
    return true;
  }

  void erase(Bytes key) override { check(peer_.erase(store_, key.data(), key.size()), "erase"); }

  void scan(Visitor& visitor) override {
    Shower shower = {visitor, nullptr};
    check(peer_.scan(store_, Shower::visit, &shower), "scan");
    if (shower.failure) std::rethrow_exception(shower.failure);
  }

  void walk(const Walk& walk, Visitor& visitor) override {
    Shower shower = {visitor, nullptr};
    check(peer_.walk(store_, walk.from.data(), walk.from.size(), walk.backwards ? 1 : 0, walk.most, Shower::visit, &shower),
          "walk");
    if (shower.failure) std::rethrow_exception(shower.failure);
  }

 private:
  const race_peer& peer_;
  void* store_;
  std::vector<race_peer_pair> pairs_;
};

class Peer final : public Engine {
 public:
  Peer(const race_peer* peer, const Config& config) : peer_(*peer) {
    const race_peer_config peer_config = {config.directory.c_str(), config.cache_bytes, config.threads,
                                          config.durable ? 1u : 0u, config.value_size};
    settings_ = peer_.settings(&peer_config);
    store_ = peer_.open(&peer_config);
    if (store_ == nullptr) throw std::runtime_error(std::string("open: ") + race_peer_error());
  }
  ~Peer() override { peer_.close(store_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  std::unique_ptr<Session> session() override { return std::make_unique<PeerSession>(peer_, store_); }

  Settings settings() const override {
    Settings settings;
    for (size_t begin = 0; begin < settings_.size();) {
      const size_t end = std::min(settings_.find('\n', begin), settings_.size());
      const size_t tab = settings_.find('\t', begin);
      settings.emplace_back(settings_.substr(begin, tab - begin), settings_.substr(tab + 1, end - tab - 1));
      begin = end + 1;
    }
    return settings;
  }

 private:
  const race_peer& peer_;
  void* store_ = nullptr;
  std::string settings_;
};

}  // namespace

std::unique_ptr<Engine> open_redb(const Config& config) { return std::make_unique<Peer>(race_peer_redb(), config); }
std::unique_ptr<Engine> open_fjall(const Config& config) { return std::make_unique<Peer>(race_peer_fjall(), config); }
std::unique_ptr<Engine> open_sled(const Config& config) { return std::make_unique<Peer>(race_peer_sled(), config); }
std::unique_ptr<Engine> open_candystore(const Config& config) {
  return std::make_unique<Peer>(race_peer_candystore(), config);
}

}  // namespace race
