// What the driver tells the orchestrator: lines on standard output, their fields separated by tabs.
//
//   setting NAME VALUE       how the store was opened
//   start ROW                this row is being measured now
//   figure ROW NAME NUMBER   one result
#pragma once

#include <cstdio>
#include <string>

#include "engine.h"

namespace race::report {

inline void settings(const Settings& settings) {
  for (const auto& [name, value] : settings) std::printf("setting\t%s\t%s\n", name.c_str(), value.c_str());
  std::fflush(stdout);
}

inline void start(const std::string& row) {
  std::printf("start\t%s\n", row.c_str());
  std::fflush(stdout);
}

inline void figure(const std::string& row, const char* name, double number) {
  std::printf("figure\t%s\t%s\t%.17g\n", row.c_str(), name, number);
  std::fflush(stdout);
}

}  // namespace race::report
