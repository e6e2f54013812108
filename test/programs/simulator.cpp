// Runs the simulator over many seeds, or one seed with a trace.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include <boost/program_options.hpp>

#include "test/sim/simulation.hpp"

namespace {

namespace options = boost::program_options;
using troupe::sim::result;
using troupe::sim::settings;

double seconds_of(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

void print_trace(troupe::sim::time at, const std::string& text) {
  const auto since = at.time_since_epoch() - std::chrono::hours(1);
  std::printf("%12.6f  %s\n", seconds_of(since), text.c_str());
}

void tell(const result& r) {
  std::printf(
      "seed %llu: %zu nodes, %.1f s, %llu events, %llu tasks and calls, digest %016llx%s%s\n",
      static_cast<unsigned long long>(r.seed), r.nodes, seconds_of(r.virtual_time),
      static_cast<unsigned long long>(r.events), static_cast<unsigned long long>(r.work.tasks),
      static_cast<unsigned long long>(r.digest), r.broken ? "\n  BROKEN: " : "",
      r.broken ? r.broken->c_str() : "");
}

}  // namespace

int main(int argc, char** argv) try {
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;
  double minutes = 0;
  settings wanted;
  options::options_description known(
      "troupe_sim: runs simulated clusters and checks what must always hold.\nOptions");
  known.add_options()("help", "this text")("seeds", options::value(&seeds)->value_name("N"),
                                           "how many seeds (100)")(
      "seed", options::value(&first)->value_name("S"),
      "this seed only; with --seeds, the first one (1)")(
      "nodes", options::value(&wanted.nodes)->value_name("N"),
      "nodes of each cluster; drawn from the seed otherwise")(
      "minutes", options::value(&minutes)->value_name("M"),
      "virtual time in which drivers work and faults happen; drawn from the seed otherwise")(
      "no-faults", "nothing breaks")("trace", "print every event of the run")(
      "each", "print a line for each seed");
  options::variables_map given;
  options::store(options::parse_command_line(argc, argv, known), given);
  options::notify(given);
  if (given.contains("help")) {
    std::cout << known;
    return 0;
  }
  if (given.contains("seed") && !given.contains("seeds")) seeds = 1;
  wanted.busy = std::chrono::duration_cast<troupe::sim::duration>(
      std::chrono::duration<double, std::ratio<60>>(minutes));
  wanted.faults = !given.contains("no-faults");
  if (given.contains("trace")) wanted.trace = print_trace;

  result sum;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    wanted.seed = seed;
    const result r = troupe::sim::run(wanted);
    if (r.broken || seeds == 1 || given.contains("each")) tell(r);
    if (r.broken) {
      std::printf("  replay it by: ./tools/dev sim --seed %llu --trace%s%s\n",
                  static_cast<unsigned long long>(seed),
                  wanted.nodes != 0 ? (" --nodes " + std::to_string(wanted.nodes)).c_str() : "",
                  minutes != 0 ? (" --minutes " + std::to_string(minutes)).c_str() : "");
      return 1;
    }
    sum.events += r.events;
    sum.nodes += r.nodes;
    sum.virtual_time += r.virtual_time;
    sum.work.tasks += r.work.tasks;
    sum.work.executions += r.work.executions;
    sum.work.errors += r.work.errors;
    sum.work.leases += r.work.leases;
    sum.work.lives += r.work.lives;
    sum.work.calls += r.work.calls;
    sum.sent.messages += r.sent.messages;
    sum.sent.frames += r.sent.frames;
    sum.sent.frames_lost += r.sent.frames_lost;
    sum.sent.broken += r.sent.broken;
    sum.sent.resent += r.sent.resent;
    sum.sent.duplicates += r.sent.duplicates;
    sum.faults.workers_killed += r.faults.workers_killed;
    sum.faults.drivers_killed += r.faults.drivers_killed;
    sum.faults.nodes_killed += r.faults.nodes_killed;
    sum.faults.heads_killed += r.faults.heads_killed;
    sum.work.adopted += r.work.adopted;
    sum.work.groups += r.work.groups;
    sum.work.reads += r.work.reads;
    sum.work.unread += r.work.unread;
    sum.work.pulls += r.work.pulls;
    sum.work.by_data += r.work.by_data;
    sum.work.spills += r.work.spills;
    sum.work.rebuilt += r.work.rebuilt;
    sum.work.lost += r.work.lost;
    sum.work.recovered += r.work.recovered;
    sum.faults.partitions += r.faults.partitions;
  }
  const double took = seconds_of(std::chrono::steady_clock::now() - begin);
  const auto show = [](const char* what, std::uint64_t count) {
    std::printf("  %-32s %12llu\n", what, static_cast<unsigned long long>(count));
  };
  std::printf("%llu seeds held: %.0f s of clusters in %.1f s, %.0f events/s\n",
              static_cast<unsigned long long>(seeds), seconds_of(sum.virtual_time), took,
              static_cast<double>(sum.events) / took);
  show("nodes", sum.nodes);
  show("tasks and calls", sum.work.tasks);
  show("executions", sum.work.executions);
  show("calls of actors that ran", sum.work.calls);
  show("lives of actors", sum.work.lives);
  show("refs that ended in an error", sum.work.errors);
  show("leases", sum.work.leases);
  show("messages", sum.sent.messages);
  show("frames", sum.sent.frames);
  show("frames lost", sum.sent.frames_lost);
  show("connections broken", sum.sent.broken);
  show("messages sent again", sum.sent.resent);
  show("duplicates dropped", sum.sent.duplicates);
  show("workers killed", sum.faults.workers_killed);
  show("drivers killed", sum.faults.drivers_killed);
  show("node daemons killed", sum.faults.nodes_killed);
  show("heads killed", sum.faults.heads_killed);
  show("nodes that came back to a head", sum.work.recovered);
  show("detached actors", sum.work.adopted);
  show("detached placement groups", sum.work.groups);
  show("values read", sum.work.reads);
  show("reads that failed", sum.work.unread);
  show("values pulled", sum.work.pulls);
  show("chunks by data connections", sum.work.by_data);
  show("values spilled", sum.work.spills);
  show("values made again", sum.work.rebuilt);
  show("values lost for good", sum.work.lost);
  show("partitions", sum.faults.partitions);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "troupe_sim: %s; --help lists the options\n", e.what());
  return 2;
}
