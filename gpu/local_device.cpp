#include "gpu/local_device.hpp"

#include <charconv>
#include <cstdlib>

namespace troupe::gpu {

std::optional<int> local_device(int id, int count, const char* own) noexcept {
  const auto among = [count](int device) {
    return device >= 0 && device < count ? std::optional(device) : std::nullopt;
  };
  if (own == nullptr) return among(id);
  std::string_view rest = own;
  for (int position = 0; !rest.empty(); ++position) {
    int number = -1;
    std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (number == id) return among(position);
    const std::size_t comma = rest.find(',');
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return std::nullopt;
}

std::optional<int> local_device(int id, int count) noexcept {
  static const char* const own = std::getenv("TROUPE_WORKER_GPUS");
  return local_device(id, count, own);
}

}  // namespace troupe::gpu
