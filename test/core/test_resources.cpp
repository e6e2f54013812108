#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "core/resources.hpp"
#include "test/support/catch.hpp"

using namespace troupe::core;
using troupe::resource;
using troupe::resource_list;

namespace {

resource_amount amount(double value) { return resource_amount::from_double(value, "it"); }

resource_set set_of(std::vector<std::pair<std::string, double>> entries) {
  resource_set set;
  for (const auto& [name, value] : entries) set.set(name, amount(value));
  return set;
}

template <class F>
std::string refusal(F f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "nothing was refused";
}

std::string refused_amount(double value) {
  return refusal([value] { resource_amount::from_double(value, "num_cpus"); });
}

std::string refused_custom(std::vector<resource> custom) {
  return refusal([&] { make_demand({}, 1, 0, 0, custom); });
}

}  // namespace

TEST_CASE("a resource list holds up to eight entries and is trivially destructible") {
  static_assert(std::is_trivially_destructible_v<resource_list>);
  constexpr resource_list two{{"disk", 1}, {"license", 0.5}};
  static_assert(two.size() == 2 && !two.empty());
  REQUIRE(two.begin()->name == "disk");
  REQUIRE((two.end() - 1)->amount == 0.5);
  REQUIRE(resource_list{}.empty());
  const resource r{"x", 1};
  REQUIRE(resource_list{r, r, r, r, r, r, r, r}.size() == 8);
  REQUIRE_THROWS_AS((resource_list{r, r, r, r, r, r, r, r, r}), std::invalid_argument);
}

TEST_CASE("amounts are exact to a ten thousandth") {
  REQUIRE(amount(0.0001).units() == 1);
  REQUIRE(amount(2.5).units() == 25'000);
  REQUIRE(amount(1e12).units() == 10'000'000'000'000'000);
  REQUIRE(amount(0.1 + 0.2) == amount(0.3));
  REQUIRE(amount(123456789.4321).units() == 1'234'567'894'321);
  REQUIRE(amount(-0.0).units() == 0);
  resource_amount sum;
  for (int i = 0; i < 10; ++i) sum += amount(0.1);
  REQUIRE(sum == amount(1));
  REQUIRE(sum - amount(0.25) == amount(0.75));
  REQUIRE(amount(0.5) < amount(0.5001));
  REQUIRE(amount(0.75).to_double() == 0.75);
  REQUIRE(resource_amount::from_whole(1ULL << 45, "memory").units() == (1LL << 45) * 10'000);
}

TEST_CASE("an amount reads as the shortest decimal") {
  REQUIRE(amount(0).to_string() == "0");
  REQUIRE(amount(2).to_string() == "2");
  REQUIRE(amount(0.5).to_string() == "0.5");
  REQUIRE(amount(0.0001).to_string() == "0.0001");
  REQUIRE(amount(10.0203).to_string() == "10.0203");
  REQUIRE(amount(100).to_string() == "100");
  REQUIRE(to_string(amount(1) - amount(2.5)) == "-1.5");
  REQUIRE(resource_amount::from_units(std::numeric_limits<std::int64_t>::min()).to_string() ==
          "-922337203685477.5808");
}

TEST_CASE("what is no amount is refused with its option and value") {
  REQUIRE(refused_amount(std::nan("")) == "num_cpus must be a finite number, got nan");
  REQUIRE(refused_amount(-std::numeric_limits<double>::infinity()) ==
          "num_cpus must be a finite number, got -inf");
  REQUIRE(refused_amount(-1) == "num_cpus must not be negative, got -1");
  REQUIRE(refused_amount(2e12) == "num_cpus must be at most 1e12, got 2e+12");
  REQUIRE(refused_amount(0.00005) == "num_cpus must be a multiple of 0.0001, got 5e-05");
  REQUIRE(refused_amount(1.00001) == "num_cpus must be a multiple of 0.0001, got 1.00001");
  REQUIRE(refused_amount(1e-15) == "num_cpus must be a multiple of 0.0001, got 1e-15");
  REQUIRE(refusal([] { resource_amount::from_whole(UINT64_MAX, "memory"); }) ==
          "memory must be at most 9e14, got 18446744073709551615");
}

TEST_CASE("a resource set drops zero amounts and reads in the order of names") {
  resource_set set;
  REQUIRE(set.empty());
  REQUIRE(set.to_string() == "{}");
  set.set("disk", amount(2));
  set.set(gpu_name, amount(0.5));
  set.set(cpu_name, amount(1));
  set.set("tape", amount(0));
  REQUIRE(set.to_string() == "{CPU: 1, GPU: 0.5, disk: 2}");
  REQUIRE(set.get("tape") == amount(0));
  REQUIRE(set.get("disk") == amount(2));
  set.set("disk", amount(0));
  REQUIRE(set.size() == 2);
  REQUIRE(set == set_of({{"CPU", 1}, {"GPU", 0.5}}));
  REQUIRE(set.hash() == set_of({{"GPU", 0.5}, {"CPU", 1}}).hash());
  REQUIRE(set.hash() != set_of({{"GPU", 1}, {"CPU", 0.5}}).hash());
}

TEST_CASE("resource sets add, subtract and fit into each other") {
  const resource_set node = set_of({{"CPU", 4}, {"GPU", 1}});
  const resource_set task = set_of({{"CPU", 1}, {"GPU", 0.5}});
  REQUIRE(task.fits_in(node));
  REQUIRE(resource_set{}.fits_in(task));
  REQUIRE_FALSE(set_of({{"CPU", 1}, {"disk", 1}}).fits_in(node));
  REQUIRE_FALSE(set_of({{"CPU", 4.0001}}).fits_in(node));
  REQUIRE(node - task - task == set_of({{"CPU", 2}}));
  REQUIRE(node - task + task == node);
  REQUIRE(task + set_of({{"disk", 3}}) == set_of({{"CPU", 1}, {"GPU", 0.5}, {"disk", 3}}));
  resource_set self = task;
  const resource_set& same = self;
  self += same;
  REQUIRE(self == set_of({{"CPU", 2}, {"GPU", 1}}));
  self -= same;
  REQUIRE(self.empty());
}

TEST_CASE("a demand is built from options, with the default CPUs when none are given") {
  REQUIRE(make_demand({}, 1, 0, 0, {}) == set_of({{"CPU", 1}}));
  REQUIRE(make_demand({}, 0, 0, 0, {}).empty());
  REQUIRE(make_demand(0, 1, 0, 0, {}).empty());
  const resource_list custom{{"disk", 2}, {"license", 0.25}, {"unused", 0}};
  REQUIRE(make_demand(2.5, 1, 0.5, 4096, custom) ==
          set_of({{"CPU", 2.5}, {"GPU", 0.5}, {"memory", 4096}, {"disk", 2}, {"license", 0.25}}));
  REQUIRE(make_demand({}, 0, 3, 0, {}) == set_of({{"GPU", 3}}));
}

TEST_CASE("a GPU amount above one must be whole") {
  REQUIRE(refusal([] { make_demand({}, 1, 1.5, 0, {}); }) ==
          "num_gpus above 1 must be a whole number, got 1.5");
}

TEST_CASE("custom resources are refused without a name, twice, or by a built-in name") {
  REQUIRE(refused_custom({{"", 1}}) == "a custom resource has an empty name; give it one");
  REQUIRE(refused_custom({{"CPU", 1}}) ==
          "custom resource \"CPU\" is built in; use the option num_cpus");
  REQUIRE(refused_custom({{"GPU", 1}}) ==
          "custom resource \"GPU\" is built in; use the option num_gpus");
  REQUIRE(refused_custom({{"memory", 1}}) ==
          "custom resource \"memory\" is built in; use the option memory");
  REQUIRE(refused_custom({{"disk", 1}, {"disk", 0}}) ==
          "custom resource \"disk\" is given twice; give the sum once");
  REQUIRE(refused_custom({{"disk", -1}}) ==
          "custom resource \"disk\" must not be negative, got -1");
}
