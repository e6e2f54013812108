/// What the subcommands of `troupe` share: their options, their exit codes, their errors.
#pragma once

#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::tools {

/// What `troupe` answers with; its help lists them.
enum exit_code : int {
  done = 0,
  failed = 1,
  misused = 2,
  unreachable = 3,
  not_authorised = 4,
  not_found = 5,
  timed_out = 6,
  version_differs = 7,
};

/// Ends the command: `what()` is printed after "troupe SUBCOMMAND: ".
class command_error : public std::runtime_error {
 public:
  command_error(exit_code code, const std::string& text) : std::runtime_error(text), code_(code) {}
  exit_code code() const noexcept { return code_; }

 private:
  exit_code code_;
};

/// One option; `value` names what it takes in the help, empty for a flag.
struct option {
  std::string_view name;
  std::string_view value;
  std::string_view help;
};

/// The options that were given; values are texts.
class given_options {
 public:
  /// Throws `command_error` that names what is unknown, lacks its value or stands twice.
  given_options(const std::vector<std::string>& words, const std::vector<option>& known);

  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
  /// The value, or the fallback.
  std::string get(std::string_view name, std::string_view fallback = {}) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

/// Has the rest of the command look for nodes in the folder of the option `session-dir`, if that
/// was given.
void use_session_dir(const given_options& given);
inline constexpr option session_dir_option{"session-dir", "FOLDER", "where nodes keep their files"};

/// The options as lines of a help text.
std::string describe(const std::vector<option>& known);

/// The exit code for the text of a `connection_error`.
exit_code code_of(const std::string& text);

/// A timeout in seconds: "5", "0.5", "10s". Throws `command_error`.
double parse_seconds(const std::string& text, std::string_view what);

}  // namespace troupe::tools
