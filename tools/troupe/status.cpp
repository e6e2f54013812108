// `troupe status`.
#include <algorithm>
#include <ctime>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/resources.hpp"
#include "core/units.hpp"
#include "net/bundle_placement.hpp"
#include "net/messages.hpp"
#include "tools/troupe/ask.hpp"
#include "tools/troupe/command_line.hpp"
#include "tools/troupe/commands.hpp"
#include "tools/troupe/table.hpp"

namespace troupe::tools {
namespace {

const std::vector<option> known = {
    address_option,
    key_file_option,
    {"json", "", "one JSON document instead of tables"},
    {"timeout", "SECONDS", "how long to wait for the answer; default: 10"},
    session_dir_option,
    {"help", "", "this text"},
};

constexpr const char* usage = R"(troupe status [OPTION...]

Shows the cluster: its nodes, their resources in use and in all, what waits for resources, and named
actors.

)";

double to_double(std::int64_t units) {
  return static_cast<double>(units) / static_cast<double>(core::resource_amount::units_per_one);
}

std::int64_t units_of(const net::demand& in, const std::string& name) {
  for (const auto& [other, units] : in) {
    if (other == name) return units;
  }
  return 0;
}

nlohmann::json to_json(const net::demand& amounts) {
  nlohmann::json result = nlohmann::json::object();
  for (const auto& [name, units] : amounts) result[name] = to_double(units);
  return result;
}

nlohmann::json to_json(const std::vector<net::gpu_memory>& gpus) {
  nlohmann::json result = nlohmann::json::array();
  for (const net::gpu_memory& one : gpus) {
    result.push_back({{"uuid", one.uuid},
                      {"name", one.name},
                      {"total", one.total},
                      {"in_arrays", one.in_arrays},
                      {"processes", one.processes}});
  }
  return result;
}

std::string group_id(const net::status::group& of) {
  std::ostringstream text;
  text << std::hex << of.id.owner << '-' << of.id.local;
  return text.str();
}

void print_json(const net::status& what, const std::string& address) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const auto& n : what.nodes) {
    nlohmann::json resources = nlohmann::json::object();
    for (const auto& [name, units] : n.total) {
      resources[name] = {{"total", to_double(units)},
                         {"used", to_double(units - units_of(n.available, name))}};
    }
    nlohmann::json waiting = nlohmann::json::array();
    for (const auto& [demand, count] : n.waiting) {
      waiting.push_back({{"demand", to_json(demand)}, {"count", count}});
    }
    nlohmann::json labels = nlohmann::json::object();
    for (const auto& [key, value] : n.labels) labels[key] = value;
    nodes.push_back(
        {{"name", n.name},
         {"address", n.address},
         {"head", n.head},
         {"awaited", n.awaited},
         {"workers", n.workers},
         {"actors", n.actors},
         {"resources", resources},
         {"object_store",
          {{"capacity", n.store.capacity}, {"used", n.store.used}, {"spilled", n.store.spilled}}},
         {"gpu_memory", to_json(n.gpus)},
         {"waiting", waiting},
         {"labels", labels}});
  }
  nlohmann::json actors = nlohmann::json::array();
  for (const auto& a : what.actors) {
    actors.push_back({{"namespace", a.in_namespace},
                      {"name", a.name},
                      {"class", a.class_name},
                      {"detached", a.detached}});
  }
  nlohmann::json groups = nlohmann::json::array();
  for (const auto& g : what.groups) {
    nlohmann::json bundles = nlohmann::json::array();
    for (std::size_t i = 0; i < g.bundles.size(); ++i) {
      const std::string node = i < g.nodes.size() ? g.nodes[i] : "";
      bundles.push_back({{"resources", to_json(g.bundles[i])}, {"node", node}});
    }
    groups.push_back({{"id", group_id(g)},
                      {"namespace", g.in_namespace},
                      {"name", g.name},
                      {"strategy", net::to_text(g.strategy)},
                      {"state", net::to_text(g.phase)},
                      {"why", g.why},
                      {"detached", g.detached},
                      {"bundles", bundles}});
  }
  const nlohmann::json all{{"address", address},
                           {"jobs", what.jobs},
                           {"head_life", what.life},
                           {"head_life_began", what.life_began},
                           {"store_problem", what.store_problem},
                           {"nodes", nodes},
                           {"actors", actors},
                           {"placement_groups", groups}};
  std::cout << all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

std::string amount_text(const std::string& name, double amount) {
  if (name != core::memory_name) return core::format_amount(amount);
  std::ostringstream text;
  text.precision(3);
  text << amount / (1024.0 * 1024 * 1024) << "GiB";
  return text.str();
}

std::string use_text(const net::demand& total, const net::demand& available) {
  std::string text;
  for (const auto& [name, units] : total) {
    const double all = to_double(units);
    const double used = to_double(units - units_of(available, name));
    if (!text.empty()) text += ", ";
    text += amount_text(name, std::max(0.0, used)) + "/" + amount_text(name, all) + " " +
            printable(name);
  }
  return text;
}

std::string store_text(const net::store_use& of) {
  if (of.capacity == 0) return "none";
  std::string text = size_text(of.used) + "/" + size_text(of.capacity);
  if (of.spilled > 0) text += ", " + size_text(of.spilled) + " on disk";
  return text;
}

void print_gpu_memory(const std::vector<net::status::node>& nodes) {
  std::vector<std::vector<std::string>> rows{{"NODE", "GPU", "UUID", "IN ARRAYS", "OF PROCESSES"}};
  for (const auto& n : nodes) {
    for (const net::gpu_memory& one : n.gpus) {
      rows.push_back({printable(n.name), printable(one.name), printable(one.uuid),
                      size_text(one.in_arrays) + "/" + size_text(one.total),
                      std::to_string(one.processes)});
    }
  }
  if (rows.size() == 1) return;
  std::cout << "\n";
  print_table(std::move(rows));
}

std::string time_text(std::int64_t seconds) {
  const std::time_t at = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&at, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

void print_text(const net::status& what, const std::string& address) {
  std::cout << "Cluster at " << address << ": " << what.nodes.size()
            << (what.nodes.size() == 1 ? " node, " : " nodes, ") << what.jobs
            << (what.jobs == 1 ? " job\n" : " jobs\n");
  if (what.life > 1) {
    std::cout << "The head was started again, life " << what.life << " since "
              << time_text(what.life_began) << "\n";
  }
  if (!what.store_problem.empty()) {
    std::cout << "Nothing new can be promised: " << printable(what.store_problem) << "\n";
  }
  std::cout << "\n";
  std::vector<std::vector<std::string>> rows{
      {"NODE", "ADDRESS", "WORKERS", "ACTORS", "OBJECTS", "IN USE"}};
  std::map<std::string, std::uint64_t> waiting;
  for (const auto& n : what.nodes) {
    rows.push_back({printable(n.name) + (n.head      ? " (head)"
                                         : n.awaited ? " (awaited)"
                                                     : ""),
                    printable(n.address), std::to_string(n.workers), std::to_string(n.actors),
                    store_text(n.store), use_text(n.total, n.available)});
    for (const auto& [demand, count] : n.waiting) {
      std::string text;
      for (const auto& [name, units] : demand) {
        text += (text.empty() ? "" : ", ") + amount_text(name, to_double(units)) + " " +
                printable(name);
      }
      waiting[text.empty() ? "nothing" : text] += count;
    }
  }
  print_table(std::move(rows));
  print_gpu_memory(what.nodes);
  if (!waiting.empty()) {
    std::cout << "\n";
    rows = {{"WAITING", "FOR"}};
    for (const auto& [text, count] : waiting) rows.push_back({std::to_string(count), text});
    print_table(std::move(rows));
  }
  if (!what.actors.empty()) {
    std::cout << "\n";
    rows = {{"NAMED ACTOR", "CLASS", "NAMESPACE", "LIFE"}};
    for (const auto& a : what.actors) {
      rows.push_back({printable(a.name), printable(a.class_name), printable(a.in_namespace),
                      a.detached ? "detached" : "its owner's"});
    }
    print_table(std::move(rows));
  }
  if (!what.groups.empty()) {
    std::cout << "\n";
    rows = {{"PLACEMENT GROUP", "STRATEGY", "BUNDLES", "STATE"}};
    for (const auto& g : what.groups) {
      std::string state = net::to_text(g.phase);
      if (!g.why.empty()) state += " (" + printable(g.why) + ")";
      rows.push_back({g.name.empty() ? group_id(g) : printable(g.name), net::to_text(g.strategy),
                      std::to_string(g.bundles.size()), state});
    }
    print_table(std::move(rows));
  }
}

}  // namespace

int show_status(const std::vector<std::string>& words) {
  const given_options given(words, known);
  if (given.has("help")) {
    std::cout << usage << describe(known) << ask_exit_codes;
    return done;
  }
  use_session_dir(given);
  cluster_line line(given);
  const auto what = line.ask<net::status>(line.head(), net::ask_status{});
  if (given.has("json")) {
    print_json(what, line.address());
  } else {
    print_text(what, line.address());
  }
  return done;
}

}  // namespace troupe::tools
