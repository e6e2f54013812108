// Environments of an embedded program: what of them one process can take on itself.
#include <atomic>
#include <stdexcept>

#include <troupe/actor.hpp>
#include <troupe/error.hpp>
#include <troupe/runtime_env.hpp>
#include <troupe/task.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
using troupe::remote;
using troupe::with;

namespace {

std::atomic<int> setups{0};
void count_setup() { ++setups; }
std::atomic<int> attempts{0};
void fail_setup() {
  ++attempts;
  throw std::runtime_error("no licence");
}
int one() { return 1; }
struct thing {
  int answer() { return 42; }
};

std::string refusal_of(const troupe::runtime_env& env) {
  try {
    with({.runtime_env = &env}).remote<one>();
  } catch (const troupe::runtime_env_error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the setup of an environment runs once in an embedded program") {
  const auto session = start();
  setups = 0;
  const troupe::runtime_env env{.setup = troupe::setup_of<count_setup>()};
  CHECK(fetch(with({.runtime_env = &env}).remote<one>()) == 1);
  CHECK(fetch(with({.runtime_env = &env}).remote<one>()) == 1);
  const auto actor = with({.runtime_env = &env}).remote<thing>();
  CHECK(fetch(actor.remote<&thing::answer>()) == 42);
  CHECK(setups == 1);
}

TEST_CASE("a setup that fails is the error of all who need it, and is not tried again") {
  const auto session = start();
  const troupe::runtime_env env{.setup = troupe::setup_of<fail_setup>()};
  for (int i = 0; i < 3; ++i) CHECK_THAT(refusal_of(env), contains("no licence"));
  CHECK_THROWS_AS(with({.runtime_env = &env}).remote<thing>(), troupe::runtime_env_error);
  CHECK(attempts == 1);
}

TEST_CASE("an embedded program says which parts of an environment it cannot have") {
  const auto session = start();
  CHECK_THAT(refusal_of({.env_vars = {{"A", "b"}}}), contains("env_vars"));
  CHECK_THAT(refusal_of({.working_dir = "/tmp"}), contains("working_dir"));
  CHECK_THAT(refusal_of({.files = {"/etc/hosts"}}), contains("files"));
  CHECK_THAT(refusal_of({.libraries = {"/no/such.so"}}), contains("/no/such.so"));
}

TEST_CASE("a call has no environment: its actor has") {
  const auto session = start();
  const troupe::runtime_env env{.setup = troupe::setup_of<count_setup>()};
  const auto actor = remote<thing>();
  CHECK_THROWS_AS(actor.with({.runtime_env = &env}).remote<&thing::answer>(),
                  std::invalid_argument);
}
