/// The options that troupe has: how each is named, read, checked, shown and explained.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <troupe/config.hpp>

namespace troupe::core {

/// One option and the field of `config` it sets. Immutable, lives for ever.
struct option_info {
  std::string_view name;        ///< `num-cpus`: as in `--troupe-num-cpus` and in the file
  std::string_view value_name;  ///< what the help shows for its value
  std::string_view help;
  bool is_flag = false;  ///< on the command line it means true without a value
  bool is_list = false;  ///< may be repeated within one source; the entries are joined

  /// Reads `text` into the field. Throws `std::invalid_argument`, naming `what`.
  void (*set)(config& to, std::string_view text, std::string_view what);
  /// Throws `std::invalid_argument`, naming `what`, when the field's value is out of its range.
  void (*check)(const config& value, std::string_view what);
  /// The field's value as it would be written.
  std::string (*show)(const config& value);
};

/// All of them, in the order of the help.
std::span<const option_info> all_options();

/// `num-cpus` as `TROUPE_NUM_CPUS`.
std::string environment_name(std::string_view option);

}  // namespace troupe::core
