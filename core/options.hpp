/// Reads the session's settings from the command line, the environment and a configuration file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <troupe/config.hpp>

namespace troupe::core {

/// Where one option's value is from.
struct option_origin {
  std::string option;  ///< `num-cpus`
  std::string text;    ///< the value as it was written, or would be
  std::string
      where;  ///< `command line`, `TROUPE_NUM_CPUS`, `file /etc/troupe/troupe.conf`, `default`
};

struct loaded_config {
  config value;
  std::vector<option_origin> origins;  ///< one per option, in the order of the help
  bool help_requested = false;         ///< then nothing else was read: `value` is the base
  std::string help_text;
};

/// What is read besides the command line; made from the process but in tests.
struct config_sources {
  std::vector<std::pair<std::string, std::string>> environment;  ///< all variables
  std::string system_file = "/etc/troupe/troupe.conf";

  static config_sources of_process();
};

/// Takes each option from the first of: command line, environment, configuration file, `base`.
///
/// Command line: `--troupe-NAME=VALUE`, `--troupe-NAME VALUE` and, for a flag, `--troupe-NAME`; up
/// to a `--`. All other words are the program's. Environment: `TROUPE_NAME`; an empty variable
/// counts as not set. File: lines `NAME = VALUE`, `#` begins a comment; it is the one that
/// `--troupe-config` or `TROUPE_CONFIG` names, else the first that exists of
/// `$XDG_CONFIG_HOME/troupe/troupe.conf`, `~/.config/troupe/troupe.conf` (when XDG_CONFIG_HOME is
/// not set) and `/etc/troupe/troupe.conf`.
///
/// An option, variable or key that troupe does not know is an error, so that a misspelt one is not
/// silently without effect; variables of troupe's build and tests (`TROUPE_TEST_*`,
/// `TROUPE_BENCH*`, see options.cpp) are left alone.
///
/// Throws `std::invalid_argument` with the place, the text, why it is refused and what is allowed.
loaded_config load_config(int argc, const char* const* argv, config base = {});
loaded_config load_config(int argc, const char* const* argv, config base,
                          const config_sources& sources);

/// Throws `std::invalid_argument` for the first field with a value that no option could give it.
void check_config(const config& value);

}  // namespace troupe::core
