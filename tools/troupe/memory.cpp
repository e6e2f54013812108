// `troupe memory`.
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/units.hpp"
#include "tools/troupe/ask.hpp"
#include "tools/troupe/commands.hpp"
#include "tools/troupe/table.hpp"

namespace troupe::tools {
namespace {

const std::vector<option> known = {
    address_option,
    key_file_option,
    {"limit", "NUMBER", "show so many objects of each node, the largest; default: 50"},
    {"json", "", "one JSON document instead of tables, with all objects"},
    {"timeout", "SECONDS", "how long to wait for each answer; default: 10"},
    session_dir_option,
    {"help", "", "this text"},
};

constexpr const char* usage = R"(troupe memory [OPTION...]

Shows the object store of each node: how full it is, and its objects with their size, the process
that owns them, what made them, where they lie, and who reads them now.

An object is `owned` when its owner frees it here, a `copy` when it was made on another node. What is
being read or written stays in memory; the rest is evicted or spilled when memory is short.

)";

std::string kind_of(const net::memory_use::value& v) { return v.copy ? "copy" : "owned"; }

std::string place_of(const net::memory_use::value& v) {
  if (v.writing) return "being written";
  if (v.waiting) return "on its way";
  if (v.in_memory) return v.in_file ? "memory, disk" : "memory";
  return "disk";
}

std::string process_text(const net::memory_use::process& p) {
  return p.pid != 0 ? "pid " + std::to_string(p.pid) : "elsewhere";
}

std::string readers_of(const net::memory_use::value& v) {
  std::string text;
  for (const auto& reader : v.readers) text += (text.empty() ? "" : ", ") + process_text(reader);
  return text;
}

nlohmann::json to_json(const net::memory_use::process& p) {
  std::ostringstream id;
  id << std::hex << std::setw(16) << std::setfill('0') << p.id;
  nlohmann::json result{{"process", id.str()}};
  if (p.pid != 0) result["pid"] = p.pid;
  return result;
}

nlohmann::json to_json(const net::memory_use& of) {
  nlohmann::json objects = nlohmann::json::array();
  for (const auto& v : of.values) {
    nlohmann::json readers = nlohmann::json::array();
    for (const auto& reader : v.readers) readers.push_back(to_json(reader));
    objects.push_back({{"id", v.name},
                       {"bytes", v.size},
                       {"owner", to_json(v.owner)},
                       {"made_by", v.made_by},
                       {"kind", kind_of(v)},
                       {"place", place_of(v)},
                       {"readers", readers}});
  }
  return {{"node", of.node},     {"capacity", of.capacity},     {"used", of.used},
          {"pinned", of.pinned}, {"spilled", of.spilled},       {"waiting", of.waiting},
          {"spills", of.spills}, {"restores", of.restores},     {"evictions", of.evictions},
          {"pulls", of.pulls},   {"bulk_bytes", of.bulk_bytes}, {"bulk_refused", of.bulk_refused},
          {"objects", objects}};
}

void print_text(const std::vector<net::memory_use>& nodes, std::size_t limit) {
  std::vector<std::vector<std::string>> rows{
      {"NODE", "USED", "OF", "BEING READ", "ON DISK", "OBJECTS", "WAITING"}};
  for (const auto& n : nodes) {
    rows.push_back({printable(n.node), size_text(n.used), size_text(n.capacity),
                    size_text(n.pinned), size_text(n.spilled), std::to_string(n.values.size()),
                    std::to_string(n.waiting)});
  }
  print_table(std::move(rows));
  rows = {{"SIZE", "NODE", "KIND", "OWNER", "MADE BY", "PLACE", "READ BY"}};
  std::size_t left_out = 0;
  for (const auto& n : nodes) {
    std::size_t shown = 0;
    for (const auto& v : n.values) {
      if (++shown > limit) {
        ++left_out;
        continue;
      }
      rows.push_back({size_text(v.size), printable(n.node), kind_of(v), process_text(v.owner),
                      printable(v.made_by), place_of(v), readers_of(v)});
    }
  }
  if (rows.size() == 1) return;
  std::cout << "\n";
  print_table(std::move(rows));
  if (left_out > 0) std::cout << "... and " << left_out << " more; see --limit and --json\n";
}

}  // namespace

int show_memory(const std::vector<std::string>& words) {
  const given_options given(words, known);
  if (given.has("help")) {
    std::cout << usage << describe(known) << ask_exit_codes;
    return done;
  }
  use_session_dir(given);
  std::size_t limit = 50;
  try {
    if (given.has("limit")) limit = core::parse_count(given.get("limit"), "--limit");
  } catch (const std::exception& error) {
    throw command_error(misused, error.what());
  }
  cluster_line line(given);
  const auto status = line.ask<net::status>(line.head(), net::ask_status{});
  std::vector<net::memory_use> nodes;
  for (const auto& node : status.nodes) {
    nodes.push_back(line.ask<net::memory_use>(line.find(node.address), net::ask_memory{}));
  }
  if (!given.has("json")) {
    print_text(nodes, limit);
    return done;
  }
  nlohmann::json all = nlohmann::json::array();
  for (const auto& one : nodes) all.push_back(to_json(one));
  const nlohmann::json document{{"address", line.address()}, {"nodes", all}};
  std::cout << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  return done;
}

}  // namespace troupe::tools
