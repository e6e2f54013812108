#include "core/gpu_devices.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/nvml.hpp"

namespace troupe::core {
namespace {

/// The device that one word of the variable means.
std::optional<std::size_t> device_of(std::string_view word, const std::vector<std::string>& uuids) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error == std::errc() && end == word.data() + word.size()) {
    return number < uuids.size() ? std::optional(number) : std::nullopt;
  }
  if (word.substr(0, 4) != "GPU-") return std::nullopt;
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < uuids.size(); ++i) {
    if (uuids[i].substr(0, word.size()) != word) continue;
    if (found) return std::nullopt;  // the beginning of several
    found = i;
  }
  return found;
}

std::string_view trimmed(std::string_view word) {
  while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
  while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
  return word;
}

}  // namespace

std::size_t count_visible_gpus(const std::vector<std::string>& uuids, const char* visible) {
  if (visible == nullptr) return uuids.size();
  std::vector<std::size_t> seen;
  std::size_t parts = 0;
  std::string_view rest = visible;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view word = trimmed(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (word.substr(0, 4) == "MIG-" && !uuids.empty()) {
      ++parts;
      continue;
    }
    const auto device = device_of(word, uuids);
    if (!device || std::ranges::count(seen, *device) != 0) break;
    seen.push_back(*device);
  }
  return seen.size() + parts;
}

std::vector<gpu_device> read_gpu_devices() {
  const std::optional<nvml> library = nvml::load();
  return library ? library->devices() : std::vector<gpu_device>();
}

std::size_t detect_gpus() {
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr && *visible == '\0') return 0;
  std::vector<std::string> uuids;
  for (gpu_device& device : read_gpu_devices()) uuids.push_back(std::move(device.uuid));
  return count_visible_gpus(uuids, visible);
}

}  // namespace troupe::core
