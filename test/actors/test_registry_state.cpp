#include <optional>

#include "actors/registry_state.hpp"
#include "test/support/catch.hpp"

using troupe::actors::registry_state;

TEST_CASE("a name belongs to the actor that registers it first") {
  registry_state registry;
  CHECK(registry.add("n", "a", 1) == std::nullopt);
  CHECK(registry.add("n", "a", 2) == 1);
  CHECK(registry.find("n", "a") == 1);
  CHECK(registry.size() == 1);
}

TEST_CASE("an actor that registers its name again is told that it has it") {
  registry_state registry;
  registry.add("n", "a", 1);
  CHECK(registry.add("n", "a", 1) == 1);
}

TEST_CASE("a name is found in its own namespace only") {
  registry_state registry;
  registry.add("n", "a", 1);
  CHECK(registry.add("", "a", 2) == std::nullopt);
  CHECK(registry.find("n", "a") == 1);
  CHECK(registry.find("", "a") == 2);
  CHECK(registry.find("na", "") == std::nullopt);
  CHECK(registry.find("m", "a") == std::nullopt);
}

TEST_CASE("only the actor that has a name gives it back") {
  registry_state registry;
  registry.add("n", "a", 1);
  CHECK_FALSE(registry.remove("n", "a", 2));
  CHECK_FALSE(registry.remove("m", "a", 1));
  CHECK(registry.find("n", "a") == 1);
  CHECK(registry.remove("n", "a", 1));
  CHECK_FALSE(registry.remove("n", "a", 1));
  CHECK(registry.find("n", "a") == std::nullopt);
  CHECK(registry.size() == 0);
}

TEST_CASE("a name that was given back can be taken by another, which the first cannot take away") {
  registry_state registry;
  registry.add("n", "a", 1);
  registry.remove("n", "a", 1);
  CHECK(registry.add("n", "a", 2) == std::nullopt);
  CHECK_FALSE(registry.remove("n", "a", 1));
  CHECK(registry.find("n", "a") == 2);
}
