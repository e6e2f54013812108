// What a large cluster costs its head: the control alone, fed with what simulated nodes say.
#include <malloc.h>

#include <ctime>
#include <string>
#include <vector>

#include "net/control_state.hpp"
#include "net/pack.hpp"
#include "test/bench/bench.hpp"

namespace troupe::bench {
namespace {

using namespace std::chrono_literals;

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Bytes that are allocated now.
double heap() { return static_cast<double>(::mallinfo2().uordblks); }

/// A head and its nodes, in virtual time. What the control sends is packed, as by the daemon.
class cluster_of {
 public:
  explicit cluster_of(std::size_t nodes) {
    for (net::process_id id = 2; id < nodes + 2; ++id) {
      net::join_cluster hello;
      hello.node = peer_of(id);
      hello.name = "node-" + std::to_string(id);
      hello.total = {{"CPU", 640'000}};
      control_.received(now_, id, std::move(hello));
      nodes_.push_back(id);
    }
    deliver();
  }

  /// Every node reports each second; a part of them has something new to say.
  void run(std::chrono::seconds time, std::size_t one_in) {
    for (const auto end = now_ + time; now_ < end; now_ += 1'000ms / steps) {
      for (std::size_t i = step_ % steps; i < nodes_.size(); i += steps) {
        net::node_report report;
        const bool news = one_in != 0 && (i + step_) % one_in == 0;
        report.available = {{"CPU", 640'000 - static_cast<std::int64_t>(news ? step_ % 64 : 0)}};
        control_.received(now_, nodes_[i], std::move(report));
      }
      ++step_;
      control_.tick(now_);
      deliver();
    }
  }

  /// Named actors of one job, on all nodes in turn.
  void name_actors(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const net::process_id owner = nodes_[i % nodes_.size()];
      net::register_name what;
      what.request = i;
      what.name = "actor-" + std::to_string(i);
      what.class_name = "service::worker";
      what.actor = {owner, i};
      what.owner = peer_of(owner);
      control_.received(now_, owner, std::move(what));
      if (i % 1'000 == 0) deliver();
    }
    deliver();
  }
  std::uint64_t bytes_sent() const { return sent_; }

 private:
  static constexpr std::size_t steps = 10;

  static net::peer peer_of(net::process_id id) {
    const std::string number = std::to_string(id);
    return {id, "machine-" + number, "/tmp/troupe-1000/node-" + number + "/" + number,
            "10.0." + std::to_string(id / 250) + "." + std::to_string(id % 250) + ":7379"};
  }
  void deliver() {
    for (auto& effect : control_.take_effects()) {
      if (auto* const out = std::get_if<net::send_from_control>(&effect)) {
        std::visit([&](auto& what) { sent_ += net::pack(std::move(what)).body.size(); }, out->what);
      }
    }
  }

  net::control_state control_{{peer_of(1)}};
  net::control_state::time now_{1h};
  std::vector<net::process_id> nodes_;
  std::size_t step_ = 0;
  std::uint64_t sent_ = 0;
};

/// What a node costs each second: when all is calm, and when a tenth of the nodes is busy.
void nodes(std::size_t count, std::vector<figure>& figures) {
  const double before = heap();
  cluster_of all(count);
  all.run(2s, 0);
  const std::string of = "_" + std::to_string(count) + "_nodes";
  figures.push_back({.name = "sim" + of + "_memory",
                     .value = (heap() - before) / static_cast<double>(count),
                     .unit = "byte",
                     .higher_is_better = false,
                     .note = "of the head's control, per node"});
  for (const std::size_t one_in : {std::size_t{0}, std::size_t{10}}) {
    constexpr int seconds = 10;
    const std::uint64_t sent = all.bytes_sent();
    const double began = cpu_seconds();
    all.run(std::chrono::seconds(seconds), one_in);
    const double took = cpu_seconds() - began;
    const std::string what = one_in == 0 ? "_calm" : "_busy";
    figures.push_back({.name = "sim" + of + what,
                       .value = took / seconds / static_cast<double>(count) * 1e6,
                       .unit = "us/s",
                       .higher_is_better = false,
                       .note = "CPU of the head's control, per node and second"});
    figures.push_back({.name = "sim" + of + what + "_traffic",
                       .value = static_cast<double>(all.bytes_sent() - sent) / seconds /
                                static_cast<double>(count),
                       .unit = "byte/s",
                       .higher_is_better = false,
                       .note = "from the head, per node"});
  }
}

std::vector<figure> sim_nodes() {
  std::vector<figure> figures;
  for (const std::size_t count : {std::size_t{1'000}, std::size_t{100}, std::size_t{10}}) {
    nodes(count, figures);
  }
  constexpr std::size_t actors = 1'000'000;
  cluster_of all(1'000);
  const double before = heap();
  const double began = cpu_seconds();
  all.name_actors(actors);
  figures.push_back({.name = "sim_1000000_actors",
                     .value = (cpu_seconds() - began) / actors * 1e6,
                     .unit = "us",
                     .higher_is_better = false,
                     .note = "CPU of the head's control, per named actor that is registered"});
  figures.push_back({.name = "sim_1000000_actors_memory",
                     .value = (heap() - before) / actors,
                     .unit = "byte",
                     .higher_is_better = false,
                     .note = "of the head's control, per named actor"});
  return figures;
}

const registered sim_nodes_benchmark("sim_1000_nodes", sim_nodes);

}  // namespace
}  // namespace troupe::bench
