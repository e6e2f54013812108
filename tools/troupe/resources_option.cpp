#include "tools/troupe/resources_option.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tools/troupe/command_line.hpp"

namespace troupe::tools {

core::resource_set parse_resources(const std::string& text) {
  constexpr std::size_t longest = 10'000;
  if (text.size() > longest) {
    throw command_error(misused, "--resources: " + std::to_string(text.size()) +
                                     " characters are too many, at most " +
                                     std::to_string(longest) + " are read");
  }
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) {
    throw command_error(
        misused, "--resources: '" + text + "' is no JSON object; write it like '{\"disk\": 1}'");
  }
  core::resource_set result;
  for (const auto& [name, amount] : json.items()) {
    if (name.empty() || name == core::cpu_name || name == core::gpu_name ||
        name == core::memory_name) {
      throw command_error(misused, "--resources: '" + name +
                                       "' is no name for one; CPU, GPU and memory have options of "
                                       "their own");
    }
    if (!amount.is_number()) {
      throw command_error(misused, "--resources: the amount of '" + name + "' is no number");
    }
    try {
      result.set(name, core::resource_amount::from_double(amount.get<double>(), name));
    } catch (const std::invalid_argument& error) {
      throw command_error(misused, std::string("--resources: ") + error.what());
    }
  }
  return result;
}

}  // namespace troupe::tools
