/// The benchmarks' own small harness: named figures, each the median of runs, with a peer in the
/// same run.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace troupe::bench {

/// One measured figure.
struct figure {
  std::string name;
  double value = 0;
  std::string unit;
  bool higher_is_better = true;
  std::string peer{};  ///< what it is compared with; empty: nothing
  double peer_value = 0;
  std::string note{};  ///< shown in the table only
};

/// A benchmark measures one or more figures; the first one bears its name.
struct benchmark {
  std::string name;
  std::function<std::vector<figure>()> run;
};

std::vector<benchmark>& all_benchmarks();

struct registered {
  registered(std::string name, std::function<std::vector<figure>()> run) {
    all_benchmarks().push_back({std::move(name), std::move(run)});
  }
};

/// What the benchmarks of large objects move, 1 GiB unless `--bulk-mib` says otherwise.
std::size_t bulk_bytes();

/// Seconds that `f` takes.
template <class F>
double seconds(F&& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The middle one of some measurements.
double median(std::vector<double> values);

/// Medians of two measurements that take turns (A B A B ...), so that a machine whose speed drifts
/// is fair to both. Each is warmed up once.
struct pair_of_medians {
  double value;
  double peer;
};
pair_of_medians alternate(int runs, const std::function<double()>& value,
                          const std::function<double()>& peer);

/// Keeps the compiler from dropping a result.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace troupe::bench
