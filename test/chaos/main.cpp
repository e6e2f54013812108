// Kills parts of a real cluster while programs work on it, and checks that what docs/failure.md
// promises is kept.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "test/chaos/report.hpp"
#include "test/chaos/round.hpp"
#include "test/support/leftovers.hpp"

namespace {

namespace options = boost::program_options;

struct settings {
  double minutes = 10;
  std::uint64_t seed = 1;
  std::uint64_t rounds = 0;
  int silence = 3;
  std::string only;
  std::string json;
};

/// Not std::shuffle, whose order is the library's own.
template <class T>
void shuffle(std::vector<T>& all, std::mt19937_64& random) {
  for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random() % i]);
}

/// All cells whose name holds that, in an order drawn by the seed: each kind of victim once, then
/// each again in another phase.
std::vector<chaos::cell> shuffled(const std::string& only, std::mt19937_64& random) {
  constexpr std::size_t phases = std::size(chaos::phases);
  std::vector<std::vector<chaos::cell>> passes(phases);
  for (const chaos::victim struck : chaos::victims) {
    std::vector<std::string> order(std::begin(chaos::phases), std::end(chaos::phases));
    shuffle(order, random);
    for (std::size_t i = 0; i < phases; ++i) {
      if ((std::string(to_text(struck)) + '/' + order[i]).find(only) == std::string::npos) continue;
      passes[i].push_back({struck, order[i]});
    }
  }
  std::vector<chaos::cell> cells;
  for (std::vector<chaos::cell>& pass : passes) {
    shuffle(pass, random);
    cells.insert(cells.end(), pass.begin(), pass.end());
  }
  return cells;
}

void warm_up(chaos::rig& on, std::uint64_t number) {
  const auto first = chaos::play(on, {chaos::victim::nothing, "transferring"}, number, 1);
  for (const std::string& what : first.wrong) {
    throw std::runtime_error("with nothing struck: " + what);
  }
  on.remember_descriptors();
}

bool run(const settings& wanted) {
  using clock = std::chrono::steady_clock;
  const auto until =
      clock::now() + std::chrono::duration_cast<clock::duration>(
                         std::chrono::duration<double, std::ratio<60>>(wanted.minutes));
  std::mt19937_64 random(wanted.seed);
  chaos::report report(wanted.seed, wanted.silence);
  std::unique_ptr<chaos::rig> cluster;
  std::vector<chaos::cell> cells;
  for (std::uint64_t n = 1; wanted.rounds != 0 ? n <= wanted.rounds : clock::now() < until; ++n) {
    if (cells.empty()) {
      cells = shuffled(wanted.only, random);
      std::reverse(cells.begin(), cells.end());
    }
    if (cells.empty()) throw std::runtime_error("no cell is called like '" + wanted.only + "'");
    if (!cluster) {
      cluster = std::make_unique<chaos::rig>(wanted.silence);
      warm_up(*cluster, 0);
    }
    const chaos::cell cell = cells.back();
    cells.pop_back();
    const chaos::outcome now = chaos::play(*cluster, cell, n, random());
    report.add(n, cell, now);
    report.resident(cluster->resident_mib());
    if (!now.wrong.empty()) {
      std::printf("  its logs and files are kept in %s\n", cluster->keep().c_str());
      cluster.reset();
    }
  }
  report.print();
  if (!wanted.json.empty()) std::ofstream(wanted.json) << report.json().dump(2) << '\n';
  return report.clean();
}

}  // namespace

int main(int argc, char** argv) try {
  settings wanted;
  options::options_description known(
      "troupe_chaos: kills parts of a real cluster and checks what must always hold.\nOptions");
  known.add_options()("help", "this text")(
      "minutes", options::value(&wanted.minutes)->value_name("N"), "how long (10)")(
      "rounds", options::value(&wanted.rounds)->value_name("N"), "so many rounds instead")(
      "seed", options::value(&wanted.seed)->value_name("S"),
      "draws the order of the cells, what is struck and when (1)")(
      "only", options::value(&wanted.only)->value_name("CELL"),
      "cells whose name VICTIM/PHASE holds this, such as node/ or /spilling")(
      "silence", options::value(&wanted.silence)->value_name("SECONDS"),
      "the setting of the daemons (3)")("json", options::value(&wanted.json)->value_name("FILE"),
                                        "write the figures there, too");
  options::variables_map given;
  options::store(options::parse_command_line(argc, argv, known), given);
  options::notify(given);
  if (given.contains("help")) {
    std::cout << known;
    return 0;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const bool kept = run(wanted);
  return kept && !troupe::test::any_left_over() ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "troupe_chaos: %s; --help lists the options\n", e.what());
  return 2;
}
