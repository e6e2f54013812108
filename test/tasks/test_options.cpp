#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/in_process.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace std::chrono_literals;
using namespace troupe::test;
using troupe::options;
using troupe::with;

namespace {

int one() { return 1; }
std::string own_name() { return troupe::this_task::name(); }

/// What is wrong with the values, in the words of `with`.
std::string refusal(const options& given) {
  return message_of<std::invalid_argument>([&] { with(given); });
}
/// What is misplaced on a task, in the words of the call.
std::string misplaced(const options& given) {
  return message_of<std::invalid_argument>([&] { with(given).remote<one>(); });
}
std::string unplaceable(const options& given) {
  return message_of<troupe::placement_error>([&] { with(given).remote<one>(); });
}

}  // namespace

TEST_CASE("options that say nothing change nothing") {
  const auto session = start();
  CHECK(fetch(with({}).remote<one>()) == 1);
}

TEST_CASE("a value out of range is refused by with, and the option is named") {
  CHECK_THAT(refusal({.num_cpus = -1.0}), contains("num_cpus"));
  CHECK_THAT(refusal({.num_cpus = std::nan("")}), contains("num_cpus"));
  CHECK_THAT(refusal({.num_cpus = std::numeric_limits<double>::infinity()}), contains("num_cpus"));
  CHECK_THAT(refusal({.num_cpus = 0.00001}), contains("num_cpus"));
  CHECK_THAT(refusal({.num_gpus = -0.5}), contains("num_gpus"));
  CHECK_THAT(refusal({.num_gpus = 1.5}), contains("num_gpus"));
  CHECK_THAT(refusal({.resources = {{"disk", -1}}}), contains("disk"));
  CHECK_THAT(refusal({.resources = {{"", 1}}}), contains("name"));
  CHECK_THAT(refusal({.resources = {{"CPU", 1}}}), contains("CPU"));
  CHECK_THAT(refusal({.max_retries = -2}), contains("max_retries"));
  CHECK_THAT(refusal({.retry_delay = -1ms}), contains("delay"));
  CHECK_THAT(refusal({.retry_max_delay = -1ms}), contains("max_delay"));
  CHECK_THAT(refusal({.retry_jitter = 1.5}), contains("jitter"));
  CHECK_THAT(refusal({.retry_jitter = -0.1}), contains("jitter"));
  CHECK_THAT(refusal({.timeout = -1ms}), contains("timeout"));
  CHECK_THAT(refusal({.max_restarts = -2}), contains("max_restarts"));
  CHECK_THAT(refusal({.max_task_retries = -2}), contains("max_task_retries"));
  CHECK_THAT(refusal({.max_concurrency = -1}), contains("max_concurrency"));
  CHECK_THAT(refusal({.groups = {{"", 1}}}), contains("groups"));
  CHECK_THAT(refusal({.groups = {{"io", 0}}}), contains("io"));
  CHECK_THAT(refusal({.name = "two\nlines"}), contains("name"));
  CHECK_THAT(refusal({.in_namespace = "a\tb"}), contains("in_namespace"));
  CHECK_THAT(refusal({.bundle_index = -2}), contains("bundle_index"));
  CHECK_THAT(refusal({.bundle_index = 0}), contains("placement_group"));
}

TEST_CASE("more resources or groups than there is room for are refused where they are written") {
  CHECK_THROWS_AS(troupe::resource_list({{"a", 1},
                                         {"b", 1},
                                         {"c", 1},
                                         {"d", 1},
                                         {"e", 1},
                                         {"f", 1},
                                         {"g", 1},
                                         {"h", 1},
                                         {"i", 1}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(troupe::concurrency_groups({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}}),
                  std::invalid_argument);
}

TEST_CASE("an option of actors or calls is refused on a task, and told where it belongs") {
  const auto session = start();
  CHECK_THAT(misplaced({.lifetime = troupe::lifetime::detached}), contains("lifetime"));
  CHECK_THAT(misplaced({.name = "x", .get_if_exists = true}), contains("get_if_exists"));
  CHECK_THAT(misplaced({.in_namespace = "home"}), contains("in_namespace"));
  CHECK_THAT(misplaced({.max_restarts = 1}), contains("max_retries"));
  CHECK_THAT(misplaced({.max_task_retries = 1}), contains("max_task_retries"));
  CHECK_THAT(misplaced({.max_concurrency = 2}), contains("max_concurrency"));
  CHECK_THAT(misplaced({.groups = {{"io", 1}}}), contains("groups"));
  CHECK_THAT(misplaced({.concurrency_group = "io"}), contains("concurrency_group"));
  CHECK_THAT(misplaced({.max_pending_calls = 5}), contains("max_pending_calls"));
}

TEST_CASE("a task that can never fit is refused with what it needs and what there is") {
  const auto session = troupe::init({.num_cpus = 2,
                                     .num_gpus = 1,
                                     .resources = {{"disk", 1.5}},
                                     .memory = 1000,
                                     .log_level = troupe::log_level::off});
  const std::string cpus = unplaceable({.num_cpus = 3, .name = "too wide"});
  CHECK_THAT(cpus, contains("too wide") && contains("3 CPU") && contains("2 CPU"));
  CHECK_THAT(unplaceable({.num_gpus = 2}), contains("2 GPU") && contains("1 GPU"));
  CHECK_THAT(unplaceable({.memory = 2000}), contains("2000") && contains("1000 bytes of memory"));
  CHECK_THAT(unplaceable({.resources = {{"disk", 2}}}), contains("2 disk") && contains("1.5 disk"));
  CHECK_THAT(unplaceable({.resources = {{"tape", 1}}}), contains("1 tape") && contains("none"));
  const std::string both = unplaceable({.num_cpus = 5, .resources = {{"tape", 1}}});
  CHECK_THAT(both, contains("5 CPU") && contains("tape"));
}

TEST_CASE("a task whose demand just fits runs") {
  const auto session = troupe::init({.num_cpus = 2,
                                     .num_gpus = 1,
                                     .resources = {{"disk", 1.5}},
                                     .memory = 1000,
                                     .log_level = troupe::log_level::off});
  CHECK(fetch(with({.num_cpus = 2, .num_gpus = 1, .memory = 1000, .resources = {{"disk", 1.5}}})
                  .remote<one>()) == 1);
  CHECK(fetch(with({.num_cpus = 0.25, .num_gpus = 0.5}).remote<one>()) == 1);
}

TEST_CASE("scheduling that one node can meet is met and other is refused") {
  const auto session = troupe::init({.num_cpus = 2,
                                     .log_level = troupe::log_level::off,
                                     .node_name = "stage-left",
                                     .labels = {{"zone", "a"}}});
  using troupe::scheduling;
  CHECK(fetch(with({.scheduling = scheduling::spread()}).remote<one>()) == 1);
  CHECK(fetch(with({.scheduling = scheduling::node_affinity("stage-left")}).remote<one>()) == 1);
  CHECK(fetch(with({.scheduling = scheduling::node_affinity("other", true)}).remote<one>()) == 1);
  CHECK(fetch(with({.scheduling = scheduling::node_label("zone", "a")}).remote<one>()) == 1);
  CHECK_THAT(unplaceable({.scheduling = scheduling::node_affinity("other")}),
             contains("'other'") && contains("stage-left"));
  CHECK_THAT(unplaceable({.scheduling = scheduling::node_label("zone", "b")}), contains("zone=b"));
  CHECK_THAT(unplaceable({.placement_group = {1, 99}}),
             contains("its placement group was removed"));
}

TEST_CASE("a task is known by its function's name or the one it is given") {
  const auto session = start();
  CHECK_THAT(fetch(troupe::remote<own_name>()), contains("own_name"));
  CHECK(fetch(with({.name = "baptised"}).remote<own_name>()) == "baptised");
}

TEST_CASE("bound options keep their texts and serve many calls from many threads") {
  const auto session = start();
  auto bound = [] {
    const std::string name = "a name too long for a short string";
    return with({.num_cpus = 0.5, .name = name});
  }();
  constexpr auto call_many = [](troupe::in_process<troupe::bound_options> b) {
    std::vector<troupe::object_ref<std::string>> names;
    for (int i = 0; i < 100; ++i) names.push_back(b->remote<own_name>());
    for (const std::string& name : troupe::get(names)) {
      if (name != "a name too long for a short string") return false;
    }
    return true;
  };
  const auto a = troupe::remote<call_many>(bound);
  const auto b = troupe::remote<call_many>(bound);
  CHECK(fetch(a));
  CHECK(fetch(b));
}

TEST_CASE("a task without CPUs runs while all CPUs are taken") {
  const auto session = start(1);
  const signal go;
  const auto busy = troupe::remote<[](const signal& until) { return until.wait(); }>(go);
  CHECK(fetch(with({.num_cpus = 0}).remote<one>()) == 1);
  go.raise();
  CHECK(fetch(busy));
}

TEST_CASE("a running task that outlives its timeout fails at once and is asked to stop") {
  const auto session = start();
  const signal stopped;
  constexpr auto endless = [](const signal& seen) {
    while (!troupe::this_task::stop_requested()) std::this_thread::yield();
    seen.raise();
  };
  const auto ref = with({.name = "endless", .timeout = 10ms}).remote<endless>(stopped);
  const std::string why = message_of<troupe::task_timeout_error>([&] { fetch(ref); });
  CHECK_THAT(why, contains("endless") && contains("10 ms"));
  CHECK(stopped.wait());
}

TEST_CASE("a timeout counts while a task waits for its arguments or for a CPU") {
  const auto session = start(1);
  const promise<int> never;
  constexpr auto take = [](int x) { return x; };
  CHECK_THROWS_AS(fetch(with({.timeout = 5ms}).remote<take>(never.ref())),
                  troupe::task_timeout_error);
  const signal go;
  const auto busy = troupe::remote<[](const signal& until) { return until.wait(); }>(go);
  CHECK_THROWS_AS(fetch(with({.timeout = 5ms}).remote<one>()), troupe::task_cancelled_error);
  go.raise();
  CHECK(fetch(busy));
}

TEST_CASE("a timeout wakes a task that waits in troupe") {
  const auto session = start();
  const signal unwound;
  constexpr auto sleeper = [](const signal& ended) {
    const at_end guard(ended);
    troupe::sleep_for(1h);
  };
  CHECK_THROWS_AS(fetch(with({.timeout = 5ms}).remote<sleeper>(unwound)),
                  troupe::task_timeout_error);
  CHECK(unwound.wait());
}

TEST_CASE("a task that ends in time does not notice its timeout") {
  const auto session = start();
  const auto bound = with({.timeout = 1h});
  std::vector<troupe::object_ref<int>> refs;
  for (int i = 0; i < 1000; ++i) refs.push_back(bound.remote<one>());
  CHECK(fetch(refs) == std::vector<int>(1000, 1));
}
