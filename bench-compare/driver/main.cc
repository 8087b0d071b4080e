// The driver of the race: one store, one directory, some rows. The orchestrator in ../race starts it and reads its output
// (report.h).
//
//   race-driver --engine NAME --dir DIR --keys N --value-size N --rows ROW,ROW [--threads N] [--cache-bytes N]
//               [--memory-bytes N] [--group FILE] [--durable] [--seconds S] [--load-seconds S] [--operations N]
#include <getopt.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "race.h"

namespace race {
namespace {

// Makes this process a member of a control group: before it takes any memory that should count there.
void join(const char* members) {
  std::ofstream file(members);
  file << 0 << std::flush;
  if (!file) throw std::runtime_error(std::string(members) + ": this process cannot become a member of the control group");
}

Plan parse(int argc, char** argv) {
  enum : int { kEngine = 256, kDir, kKeys, kValueSize, kRows, kThreads, kCache, kMemory, kGroup, kDurable, kSeconds, kLoadSeconds, kOps };
  const option options[] = {
      {"engine", required_argument, nullptr, kEngine},
      {"dir", required_argument, nullptr, kDir},
      {"keys", required_argument, nullptr, kKeys},
      {"value-size", required_argument, nullptr, kValueSize},
      {"rows", required_argument, nullptr, kRows},
      {"threads", required_argument, nullptr, kThreads},
      {"cache-bytes", required_argument, nullptr, kCache},
      {"memory-bytes", required_argument, nullptr, kMemory},
      {"group", required_argument, nullptr, kGroup},
      {"durable", no_argument, nullptr, kDurable},
      {"seconds", required_argument, nullptr, kSeconds},
      {"load-seconds", required_argument, nullptr, kLoadSeconds},
      {"operations", required_argument, nullptr, kOps},
      {nullptr, 0, nullptr, 0},
  };
  Plan plan;
  plan.config.cache_bytes = 1 << 30;
  for (int found = 0; (found = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (found) {
      case kEngine:
        for (const EngineKind& kind : kEngines) {
          if (std::strcmp(kind.name, optarg) == 0) plan.engine = &kind;
        }
        break;
      case kDir: plan.config.directory = optarg; break;
      case kKeys: plan.config.keys = std::stoull(optarg); break;
      case kValueSize: plan.config.value_size = std::stoul(optarg); break;
      case kThreads: plan.config.threads = static_cast<unsigned>(std::stoul(optarg)); break;
      case kCache: plan.config.cache_bytes = std::stoull(optarg); break;
      case kMemory: plan.config.memory_bytes = std::stoull(optarg); break;
      case kGroup: join(optarg); break;
      case kDurable: plan.config.durable = true; break;
      case kSeconds: plan.seconds = std::stod(optarg); break;
      case kLoadSeconds: plan.load_seconds = std::stod(optarg); break;
      case kOps: plan.operations = std::stoull(optarg); break;
      case kRows: {
        std::istringstream names(optarg);
        for (std::string name; std::getline(names, name, ',');) plan.rows.push_back(name);
        break;
      }
      default: throw std::runtime_error("see the head of main.cc for the arguments");
    }
  }
  if (plan.engine == nullptr || plan.config.directory.empty() || plan.rows.empty()) {
    throw std::runtime_error("--engine, --dir and --rows are needed; see the head of main.cc");
  }
  if (plan.config.keys < 1000 || plan.config.keys > UINT32_MAX) {
    throw std::runtime_error("--keys takes 1000 to 4294967295");
  }
  return plan;
}

}  // namespace
}  // namespace race

int main(int argc, char** argv) {
  try {
    race::Plan plan = race::parse(argc, argv);
    std::filesystem::create_directories(plan.config.directory);
    const std::vector<std::string> rows = plan.rows;
    race::Race race(std::move(plan));
    for (const std::string& row : rows) race.run(row);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
