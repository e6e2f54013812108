#include "net/head_watch.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "net/address.hpp"
#include "net/connection_attempt.hpp"

namespace troupe::net {
namespace {

// A head that lives answers each report, of which there is one a second.
constexpr std::chrono::milliseconds quiet{1'500};
constexpr auto probe_period = std::chrono::milliseconds(500);
constexpr auto probe_patience = std::chrono::milliseconds(2'000);

}  // namespace

head_watch::head_watch() = default;
head_watch::~head_watch() = default;

void head_watch::begin(const peer& head, time now) {
  head_ = head;
  if (head.host != host_identity()) head_.local.clear();
  std::string why;
  if (const auto parts = parse_address(head.remote)) {
    if (const auto numeric = look_up(*parts, why)) numeric_ = *numeric;
  }
  heard(now);
}

void head_watch::heard(time now) {
  heard_ = known_ = now;
  dead_ = false;
  probe_.reset();
  next_probe_ = now;
}

head_watch::finding head_watch::look(time now, bool is_linked, std::chrono::milliseconds silent_for,
                                     std::chrono::milliseconds dead_for) {
  // Long enough before the patience ends that a dead head is found dead, however short it is.
  if (is_linked && now - heard_ < std::min(quiet, silent_for * 2 / 3)) return finding::alive;
  bool died = false;
  if (!probe_ && now >= next_probe_) {
    probe_ = head_.local.empty() ? std::make_unique<connection_attempt>(numeric_)
                                 : std::make_unique<connection_attempt>(head_.local);
    probe_until_ = now + probe_patience;
  }
  if (probe_) {
    const auto result = probe_->look();
    if (result == connection_attempt::result::refused) {
      died = !std::exchange(dead_, true);
      known_ = now;
    }
    if (result != connection_attempt::result::pending || now >= probe_until_) {
      probe_.reset();
      next_probe_ = now + probe_period;
    }
  }
  if (now - known_ > silent_for) return finding::silent;
  if (dead_ && now - heard_ > dead_for) return finding::stays_dead;
  return died ? finding::just_died : finding::alive;
}

}  // namespace troupe::net
