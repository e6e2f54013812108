// troupe_bench [--json] [--only NAME] [--bulk-mib N] [--list]: prints a table, or one JSON object a
// line.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <troupe/runtime.hpp>

#include "test/bench/bench.hpp"

namespace troupe::bench {

std::vector<benchmark>& all_benchmarks() {
  static std::vector<benchmark> all;
  return all;
}

namespace {
std::size_t bulk = std::size_t{1} << 30;
}  // namespace

std::size_t bulk_bytes() { return bulk; }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

pair_of_medians alternate(int runs, const std::function<double()>& value,
                          const std::function<double()>& peer) {
  value();
  peer();
  std::vector<double> values;
  std::vector<double> peers;
  for (int i = 0; i < runs; ++i) {
    values.push_back(value());
    peers.push_back(peer());
  }
  return {median(values), median(peers)};
}

namespace {

void print_json(const figure& f) {
  std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"higher_is_better\": %s, ",
              f.name.c_str(), f.value, f.unit.c_str(), f.higher_is_better ? "true" : "false");
  if (f.peer.empty()) {
    std::printf("\"peer\": null, \"peer_value\": null, \"ratio\": null}\n");
  } else {
    std::printf("\"peer\": \"%s\", \"peer_value\": %.6g, \"ratio\": %.4g}\n", f.peer.c_str(),
                f.peer_value, f.value / f.peer_value);
  }
  std::fflush(stdout);
}

void print_row(const figure& f) {
  std::printf("%-24s %14.6g %-10s", f.name.c_str(), f.value, f.unit.c_str());
  if (!f.peer.empty()) {
    std::printf(" %8.3g x %s (%.6g)", f.value / f.peer_value, f.peer.c_str(), f.peer_value);
  }
  if (!f.note.empty()) std::printf("  [%s]", f.note.c_str());
  std::printf("\n");
  std::fflush(stdout);
}

int usage(const std::string& wrong) {
  std::fprintf(
      stderr,
      "troupe_bench: %s\nusage: troupe_bench [--json] [--only NAME] [--bulk-mib N] [--list]\n",
      wrong.c_str());
  return 2;
}

int run(const std::vector<std::string>& arguments) {
  bool json = false;
  std::string only;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--json") {
      json = true;
    } else if (arguments[i] == "--only") {
      if (++i == arguments.size()) return usage("--only needs a name");
      only = arguments[i];
    } else if (arguments[i] == "--bulk-mib") {
      const int mib = ++i < arguments.size() ? std::atoi(arguments[i].c_str()) : 0;
      if (mib <= 0) return usage("--bulk-mib needs a number of MiB");
      bulk = static_cast<std::size_t>(mib) << 20;
    } else if (arguments[i] == "--list") {
      for (const benchmark& b : all_benchmarks()) std::printf("%s\n", b.name.c_str());
      return 0;
    } else {
      return usage("unknown argument '" + arguments[i] + "'");
    }
  }
  bool found = false;
  for (const benchmark& b : all_benchmarks()) {
    if (!only.empty() && b.name != only) continue;
    found = true;
    for (const figure& f : b.run()) {
      if (!json) {
        print_row(f);
      } else if (only.empty() || f.name == only) {
        print_json(f);
      }
    }
  }
  if (!found) return usage("there is no benchmark '" + only + "'; see --list");
  return 0;
}

}  // namespace
}  // namespace troupe::bench

int main(int argc, char** argv) {
  try {
    // A worker of the cluster's benchmarks: it stays in here.
    if (std::getenv("TROUPE_WORKER_NODE") != nullptr) static_cast<void>(troupe::init(argc, argv));
    return troupe::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "troupe_bench: %s\n", e.what());
    return 1;
  }
}
