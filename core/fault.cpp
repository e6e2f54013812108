#include "core/fault.hpp"

#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <random>

#include <troupe/log.hpp>

#include "core/units.hpp"

namespace troupe::core {

namespace {

/// How a fault point is armed, and how it went since.
struct arming {
  bool is_armed = false;
  std::uint64_t only_at = 0;  ///< fires at this pass alone; 0: by probability
  double probability = 0;
  std::mt19937_64 random;
  std::uint64_t passed = 0;
  std::uint64_t fired = 0;
};

using armings = std::array<arming, fault_points.size()>;

std::mutex mutex;
armings points;  // guarded by mutex

/// Of each point, so that one that always fires does not fill the log.
constexpr std::uint64_t most_logged = 3;

constexpr std::string_view allowed =
    "NAME=HOW,... where HOW is always, once, once@N, 0.25 or 0.25@SEED";

std::string known_names() {
  std::string text;
  for (const fault_point& point : fault_points) {
    if (!text.empty()) text += ", ";
    text += point.name;
  }
  return text;
}

arming parse(std::string_view name, std::string_view how, std::string_view what) {
  const std::string entry = std::string(what) + ": " + std::string(name);
  const std::size_t at = how.find('@');
  const std::string_view kind = how.substr(0, at);
  const std::uint64_t number =
      at == std::string_view::npos ? 0 : parse_count(how.substr(at + 1), entry);
  arming result;
  result.is_armed = true;
  if (kind == "once") {
    if (at != std::string_view::npos && number == 0) refuse_value(entry, how, "is never", allowed);
    result.only_at = at == std::string_view::npos ? 1 : number;
  } else if (kind == "always" && at == std::string_view::npos) {
    result.probability = 1;
  } else {
    if (kind.empty() || kind.find_first_not_of("0123456789.") != std::string_view::npos) {
      refuse_value(entry, how, "says no time", allowed);
    }
    result.probability = parse_amount(kind, entry);
    if (result.probability > 1) refuse_value(entry, how, "is more than always", allowed);
    result.random.seed(number);
  }
  return result;
}

}  // namespace

std::atomic<bool> faults::armed{false};

bool faults::fires(std::size_t point) noexcept {
  std::uint64_t fired = 0;
  {
    const std::lock_guard guard(mutex);
    arming& one = points[point];
    if (!one.is_armed) return false;
    ++one.passed;
    const bool now = one.only_at != 0
                         ? one.passed == one.only_at
                         : std::generate_canonical<double, 53>(one.random) < one.probability;
    if (!now) return false;
    fired = ++one.fired;
  }
  if (fired <= most_logged) log::warn("the fault ", fault_points[point].name, " happens");
  return true;
}

void arm_faults(std::string_view spec, std::string_view what) {
  armings fresh;
  bool any = false;
  for (const auto& [name, how] : parse_pairs(spec, what)) {
    std::size_t point = 0;
    while (point < fault_points.size() && fault_points[point].name != name) ++point;
    if (point == fault_points.size()) {
      refuse_value(what, name, "is no fault point", known_names());
    }
    fresh[point] = parse(name, how, what);
    any = true;
  }
  const std::lock_guard guard(mutex);
  points = std::move(fresh);
  faults::armed.store(any);
}

void disarm_faults() noexcept {
  const std::lock_guard guard(mutex);
  faults::armed.store(false);
  points = {};
}

void arm_faults_by_environment() {
  const char* const spec = std::getenv("TROUPE_FAULTS");
  if (spec == nullptr || *spec == '\0') return;
  arm_faults(spec);
  log::warn("faults are armed, so things go wrong on purpose: TROUPE_FAULTS=", std::string(spec));
}

std::uint64_t fault_count(std::string_view name) {
  const std::lock_guard guard(mutex);
  for (std::size_t i = 0; i < fault_points.size(); ++i) {
    if (fault_points[i].name == name) return points[i].fired;
  }
  return 0;
}

void exit_by_fault() noexcept { ::_exit(fault_exit_code); }

}  // namespace troupe::core
