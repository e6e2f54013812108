#include "net/reference_state.hpp"

namespace troupe::net {

bool reference_state::change(std::uint64_t local, process_id holder, std::int32_t by) {
  counts& of = holders_[local];
  std::int64_t& count = of[holder];
  count += by;
  if (count == 0) of.erase(holder);
  if (!of.empty()) return false;
  holders_.erase(local);
  return true;
}

std::vector<std::uint64_t> reference_state::forget(process_id holder) {
  std::vector<std::uint64_t> free;
  for (auto& [local, of] : holders_) {
    if (of.erase(holder) != 0 && of.empty()) free.push_back(local);
  }
  for (const std::uint64_t local : free) holders_.erase(local);
  return free;
}

}  // namespace troupe::net
