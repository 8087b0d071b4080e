// tkrzw's HashDBM, after the comments of tkrzw_dbm_hash.h: more buckets than records, a mapped file, updates in place.
#include <tkrzw_dbm_hash.h>
#include <tkrzw_lib_common.h>

#include "engine.h"

namespace race {
namespace {

void check(const tkrzw::Status& status, const char* what) {
  if (!status.IsOK()) throw std::runtime_error(std::string("tkrzw: ") + what + ": " + tkrzw::ToString(status));
}

class Every final : public tkrzw::DBM::RecordProcessor {
 public:
  explicit Every(Visitor& visitor) : visitor_(visitor) {}
  std::string_view ProcessFull(std::string_view key, std::string_view value) override {
    visitor_.visit(key, value);
    return NOOP;
  }

 private:
  Visitor& visitor_;
};

class TkrzwSession final : public Session {
 public:
  TkrzwSession(tkrzw::HashDBM& dbm, bool durable) : dbm_(dbm), durable_(durable) {}

  void put(Bytes key, Bytes value) override {
    check(dbm_.Set(key, value), "Set");
    synchronize();
  }

  void put_many(const std::vector<Pair>& pairs) override {
    for (const auto& [key, value] : pairs) check(dbm_.Set(key, value), "Set");
    synchronize();
  }

  bool get(Bytes key, Value& value) override {
    const tkrzw::Status status = dbm_.Get(key, &value.text);
    if (status == tkrzw::Status::NOT_FOUND_ERROR) return false;
    check(status, "Get");
    value.bytes = value.text;
    return true;
  }

  void erase(Bytes key) override {
    check(dbm_.Remove(key), "Remove");
    synchronize();
  }

  void scan(Visitor& visitor) override {
    Every every(visitor);
    check(dbm_.ProcessEach(&every, false), "ProcessEach");
  }

 private:
  void synchronize() {
    if (durable_) check(dbm_.Synchronize(true), "Synchronize");
  }

  tkrzw::HashDBM& dbm_;
  bool durable_;
};

class Tkrzw final : public Engine {
 public:
  explicit Tkrzw(const Config& config) : durable_(config.durable) {
    tkrzw::HashDBM::TuningParameters tuning;
    tuning.num_buckets = static_cast<int64_t>(config.keys * 2 + 1);
    buckets_ = tuning.num_buckets;
    check(dbm_.OpenAdvanced(config.directory + "/casket.tkh", true, tkrzw::File::OPEN_DEFAULT, tuning), "Open");
  }

  ~Tkrzw() override {
    // A clean close is durable with every store of this race; this one leaves that to the caller.
    dbm_.Synchronize(true);
    dbm_.Close();
  }

  std::unique_ptr<Session> session() override { return std::make_unique<TkrzwSession>(dbm_, durable_); }

  Settings settings() const override {
    return {{"version", tkrzw::PACKAGE_VERSION},
            {"num_buckets", std::to_string(buckets_) + " (two per key)"},
            {"file", "MemoryMapParallelFile"},
            {"update_mode", "in place"},
            {"record_crc_mode", "none, the default"},
            {"write", durable_ ? "Set, then Synchronize(hard)" : "Set"}};
  }

 private:
  tkrzw::HashDBM dbm_;
  int64_t buckets_ = 0;
  bool durable_;
};

}  // namespace

std::unique_ptr<Engine> open_tkrzw(const Config& config) { return std::make_unique<Tkrzw>(config); }

}  // namespace race
