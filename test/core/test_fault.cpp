#include "core/fault.hpp"

#include <chrono>
#include <stdexcept>

#include "test/support/armed_faults.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"

using namespace troupe::core;
using namespace troupe::test;

namespace {

std::string passes(int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += TROUPE_FAULT("link.duplicate") ? 'x' : '.';
  return text;
}

std::string refusal(std::string_view spec) {
  try {
    arm_faults(spec);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  disarm_faults();
  return {};
}

}  // namespace

TEST_CASE("a fault point that is not armed never fires") {
  CHECK(passes(10) == "..........");
  const armed_faults other("link.lost_ack=always");
  CHECK(passes(10) == "..........");
  CHECK(fault_count("link.duplicate") == 0);
}

TEST_CASE("a fault fires always, once, or the Nth time") {
  {
    const armed_faults it("link.duplicate=always");
    CHECK(passes(4) == "xxxx");
    CHECK(fault_count("link.duplicate") == 4);
  }
  {
    const armed_faults it("link.duplicate=once");
    CHECK(passes(4) == "x...");
  }
  const armed_faults it("link.lost_ack=always,link.duplicate=once@3");
  CHECK(passes(4) == "..x.");
}

TEST_CASE("a fault with a probability fires about so often, and the same way by the same seed") {
  std::string first;
  {
    const armed_faults it("link.duplicate=0.25@7");
    first = passes(1'000);
    CHECK(fault_count("link.duplicate") > 180);
    CHECK(fault_count("link.duplicate") < 320);
  }
  {
    const armed_faults it("link.duplicate=0.25@7");
    CHECK(passes(1'000) == first);
  }
  const armed_faults it("link.duplicate=0.25@8");
  CHECK(passes(1'000) != first);
}

TEST_CASE("what is armed before is off when others are armed") {
  const armed_faults first("link.duplicate=always");
  const armed_faults second("link.lost_ack=always");
  CHECK(passes(3) == "...");
  arm_faults("");
  CHECK_FALSE(TROUPE_FAULT("link.lost_ack"));
}

TEST_CASE("a fault that is written wrongly is refused with what is allowed") {
  CHECK_THAT(refusal("link.duplicat=once"),
             contains("TROUPE_FAULTS: \"link.duplicat\"") && contains("link.duplicate, "));
  CHECK_THAT(refusal("link.duplicate"), contains("TROUPE_FAULTS"));
  CHECK_THAT(refusal("link.duplicate=often"), contains("\"often\"") && contains("once@N"));
  CHECK_THAT(refusal("link.duplicate=1.5"), contains("more than always"));
  CHECK_THAT(refusal("link.duplicate=once@0"), contains("never"));
  CHECK_THAT(refusal("link.duplicate=0.5@x"), contains("\"x\""));
  CHECK(refusal("link.duplicate=1@18446744073709551615").empty());
}
