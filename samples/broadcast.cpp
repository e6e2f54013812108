// One big array that every node of a cluster reads.
//
// Notice when it runs: the array is put once, on the node of this program. Each other node pulls it
// once, however many of its tasks read it, and a node that has it gives it to others; so the second
// task on a node begins at once. All of them read it in place: nothing is copied within a node.
// The readers have their places in a placement group: spread over the nodes before the first reads.
//
//     sample_broadcast       # all of it; starts four nodes if TROUPE_ADDRESS names no cluster
//     sample_broadcast run   # the program on the cluster of TROUPE_ADDRESS

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace {

using clock = std::chrono::steady_clock;
constexpr std::size_t elements = 16 << 20;  // 64 MiB

double total(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
/// Where it ran, and what it read.
std::pair<std::string, double> read(std::span<const float> values) {
  return {troupe::node_name(), total(values)};
}

bool broadcast() {
  std::vector<float> values(elements);
  for (std::size_t i = 0; i < elements; ++i) values[i] = static_cast<float>(i % 1024);
  const double expected = total(values);
  auto begin = clock::now();
  const auto milliseconds = [&begin] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - begin).count();
  };
  const auto shared = troupe::put(std::move(values));
  std::cout << "put " << (elements * sizeof(float) >> 20) << " MiB in " << milliseconds()
            << " ms\n";

  const auto places = static_cast<std::size_t>(
      std::clamp(troupe::cluster_resources()["CPU"], 1.0, 4.0));  // on as many nodes, if there are
  const troupe::placement_group spread(
      {.bundles = std::vector<troupe::bundle>(places, {.num_cpus = 1}),
       .strategy = troupe::placement_strategy::spread});
  troupe::get(spread.ready());

  begin = clock::now();
  std::vector<troupe::object_ref<std::pair<std::string, double>>> readers;
  for (std::size_t i = 0; i < 4 * places; ++i) {
    const auto place = static_cast<int>(i % places);
    readers.push_back(
        troupe::with({.placement_group = spread, .bundle_index = place}).remote<read>(shared));
  }
  bool right = true;
  std::map<std::string, int> readers_of;
  for (const auto& reader : troupe::as_completed(readers)) {
    const auto [node, sum] = troupe::get(reader);
    right = right && sum == expected;
    if (++readers_of[node] == 1) {
      std::cout << node << " has read it after " << milliseconds() << " ms\n";
    }
  }
  for (const auto& [node, count] : readers_of) std::cout << node << ": " << count << " readers\n";
  std::cout << (right ? "all read the same" : "WRONG: somebody read something else") << '\n';
  return right;
}

void run(const std::string& command) {
  std::cout << "$ " << command << std::endl;
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

void show(const std::string& self) {
  std::string folder = "/tmp/troupe-broadcast-XXXXXX";
  const bool own_cluster = std::getenv("TROUPE_ADDRESS") == nullptr;
  if (!own_cluster) return run(self + " run");
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no folder for the cluster");
  ::setenv("TROUPE_SESSION_BASE", folder.c_str(), 1);
  ::setenv("TROUPE_ADDRESS", "auto", 1);
  run("troupe start --head --node-name=alpha --num-cpus=2 --port=0 > /dev/null");
  const std::string head =
      "$(sed -n 's/.*\"head\": \"\\(.*\\)\".*/\\1/p' " + folder + "/alpha/node.json)";
  for (const std::string name : {"beta", "gamma", "delta"}) {
    run("troupe start --address=" + head + " --node-name=" + name + " --num-cpus=2 > /dev/null");
  }
  run(self + " run");
  run("troupe stop --all > /dev/null");
  std::filesystem::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return show(argv[0]), 0;
  const auto session = troupe::init(argc, argv);  // a worker stays in here
  return broadcast() ? 0 : 1;
}
