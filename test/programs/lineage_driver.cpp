// The program by which the cluster tests lose values and have them made again: a driver, run again
// as its workers. It runs on a head without CPUs; the nodes `b` and `c` are to be killed by it.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/programs/scenario.hpp"

using namespace std::chrono_literals;
using scenario::fetch;
using scenario::words;
using troupe::object_ref;
using troupe::put;
using troupe::remote;
using troupe::view;

namespace {

using array = std::vector<float>;
constexpr std::size_t many = 100'000;

// -- tasks ----------------------------------------------------------------------------------------

/// Each run of a task leaves a line behind.
void note(const std::string& task) {
  std::ofstream(std::getenv("LINEAGE_RUNS"), std::ios::app) << task << '\n';
}
int runs(const std::string& task) {
  std::ifstream file(std::getenv("LINEAGE_RUNS"));
  int count = 0;
  for (std::string line; std::getline(file, line);) count += line == task ? 1 : 0;
  return count;
}

array make(float first) {
  note("make");
  array result(many);
  std::iota(result.begin(), result.end(), first);
  return result;
}
array twice(std::span<const float> values) {
  note("twice");
  array result(values.begin(), values.end());
  for (float& v : result) v *= 2;
  return result;
}
array joined(const std::vector<object_ref<array>>& parts) {
  note("joined");
  array result;
  for (const auto& part : parts) {
    const auto seen = view(part, 60s);
    result.insert(result.end(), seen->begin(), seen->end());
  }
  return result;
}
array make_once(float first) {
  if (runs("make") > 0) throw std::runtime_error("this one runs once");
  return make(first);
}
double sum(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
double sum_of(const array& values) { return sum(values); }
object_ref<array> put_there() { return put(make(1)); }
int daemon_pid() { return ::getppid(); }

struct holder {
  void take(object_ref<array> ref) { held = std::move(ref); }
  double total() { return sum(*view(held, 60s)); }
  array big() { return array(many, 1); }
  object_ref<array> held;
};

// -- what happens to nodes ------------------------------------------------------------------------

/// There as long as it lives, then anywhere.
auto first_on(const std::string& node, troupe::options o = {}) {
  o.scheduling = troupe::scheduling::node_affinity(node, true);
  return troupe::with(o);
}
auto on(const std::string& node) {
  return troupe::with({.scheduling = troupe::scheduling::node_affinity(node)});
}
template <class T>
void ready(const object_ref<T>& ref) {
  troupe::wait(std::vector{ref}, {.timeout = 60s});
  CHECK(!ref.failed());
}
void kill_node(const std::string& name) { ::kill(fetch(on(name).remote<daemon_pid>()), SIGKILL); }
double expected(float first) {
  array all(many);
  std::iota(all.begin(), all.end(), first);
  return sum(all);
}
template <class F>
std::string lost(F&& f) {
  try {
    f();
  } catch (const troupe::object_lost_error& e) {
    return e.what();
  }
  return "nothing was lost";
}
bool has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  std::cout << "'" << part << "' is not in: " << text << '\n';
  return false;
}

// -- scenarios ------------------------------------------------------------------------------------

void result() {
  const auto made = first_on("b").remote<make>(3);
  ready(made);
  kill_node("b");
  const auto seen = view(made, 60s);
  CHECK(seen->size() == many);
  CHECK(seen->front() == 3);
  CHECK(runs("make") == 2);
  CHECK(fetch(remote<sum>(made)) == expected(3));
  CHECK(runs("make") == 2);
}

/// What a lost value was made from is made again too, though nobody has a ref to it any more.
void chain() {
  auto made = first_on("b").remote<make>(1);
  auto next = first_on("b").remote<twice>(made);
  made = {};
  auto last = first_on("b").remote<twice>(next);
  next = {};
  ready(last);
  CHECK(runs("twice") == 2);
  kill_node("b");
  CHECK(sum(*view(last, 60s)) == expected(1) * 4);
  CHECK(runs("make") == 2);
  CHECK(runs("twice") == 4);
}

void refs_inside() {
  std::vector<object_ref<array>> parts;
  for (int i = 0; i < 3; ++i) parts.push_back(first_on("b").remote<make>(static_cast<float>(i)));
  const auto all = first_on("b").remote<joined>(parts);
  ready(all);
  parts.clear();
  kill_node("b");
  CHECK(view(all, 60s)->size() == 3 * many);
  CHECK(sum(*view(all)) == expected(0) + expected(1) + expected(2));
  CHECK(runs("joined") == 2);
  CHECK(runs("make") == 6);
}

/// Another process than the owner finds the value lost.
void borrowed() {
  const auto made = first_on("b").remote<make>(5);
  const auto keeper = on("c").remote<holder>();
  ready(made);
  fetch(keeper.remote<&holder::take>(made));
  kill_node("b");
  CHECK(fetch(keeper.remote<&holder::total>()) == expected(5));
  CHECK(fetch(on("c").remote<sum>(made)) == expected(5));
  CHECK(fetch(on("c").remote<sum_of>(made)) == expected(5));
  CHECK(sum(*view(made, 60s)) == expected(5));
  CHECK(runs("make") == 2);
}

void own_arguments() {
  const auto made = first_on("b").remote<twice>(array(many, 3));
  ready(made);
  kill_node("b");
  CHECK(view(made, 60s)->at(7) == 6);
  CHECK(runs("twice") == 2);
}

void too_much_lineage() {
  const auto made = first_on("b").remote<twice>(array(many, 3));
  ready(made);
  kill_node("b");
  const std::string said = lost([&] { view(made, 60s); });
  CHECK(has(said, "twice"));
  CHECK(has(said, "max-lineage-bytes"));
}

void no_retries() {
  const auto made = first_on("b", {.max_retries = 0}).remote<make>(1);
  ready(made);
  kill_node("b");
  const std::string said = lost([&] { view(made, 60s); });
  CHECK(has(said, "make"));
  CHECK(has(said, "max_retries = 0"));
  CHECK(has(said, "the node at "));
}

void retries_used() {
  const auto made = first_on("b", {.max_retries = 1}).remote<make>(1);
  ready(made);
  kill_node("b");
  CHECK(fetch(on("c").remote<sum>(made)) == expected(1));  // no other node has a copy
  kill_node("c");
  const std::string said = lost([&] { view(made, 60s); });
  CHECK(has(said, "has run 2 times"));
}

void second_run_fails() {
  const auto made = first_on("b").remote<make_once>(1);
  ready(made);
  kill_node("b");
  try {
    view(made, 60s);
    CHECK(false);
  } catch (const std::runtime_error& e) {
    CHECK(has(e.what(), "this one runs once"));
  }
}

/// What no task made is not made again.
void not_of_a_task() {
  const auto there = on("b").remote<holder>();
  const auto made = there.remote<&holder::big>();
  ready(made);
  const auto lent = fetch(on("b").remote<put_there>());
  ready(lent);
  kill_node("b");
  const std::string said = lost([&] { view(made, 60s); });
  CHECK(has(said, "holder::big"));
  CHECK(has(said, "not made again"));
  try {
    view(lent, 60s);
    CHECK(false);
  } catch (const troupe::owner_died_error&) {
  }
}

/// What is kept to rebuild a value goes with its last ref.
void freed() {
  auto made = first_on("b").remote<make>(1);
  auto next = first_on("b").remote<twice>(made);
  made = {};
  ready(next);
  next = {};
  for (int i = 0; i < 1'000; ++i) next = first_on("b").remote<twice>(first_on("b").remote<make>(1));
  ready(next);
}

const std::map<std::string, std::function<void(const words&)>> scenarios{
    {"result", [](const words&) { result(); }},
    {"chain", [](const words&) { chain(); }},
    {"refs_inside", [](const words&) { refs_inside(); }},
    {"borrowed", [](const words&) { borrowed(); }},
    {"own_arguments", [](const words&) { own_arguments(); }},
    {"too_much_lineage", [](const words&) { too_much_lineage(); }},
    {"no_retries", [](const words&) { no_retries(); }},
    {"retries_used", [](const words&) { retries_used(); }},
    {"second_run_fails", [](const words&) { second_run_fails(); }},
    {"not_of_a_task", [](const words&) { not_of_a_task(); }},
    {"freed", [](const words&) { freed(); }},
};

}  // namespace

int main(int argc, char** argv) { return scenario::run(argc, argv, scenarios); }
