#include "tools/troupe/command_line.hpp"

#include <boost/program_options.hpp>
#include <cstdlib>
#include <sstream>

#include "core/units.hpp"

namespace troupe::tools {

namespace po = boost::program_options;

given_options::given_options(const std::vector<std::string>& words,
                             const std::vector<option>& known) {
  po::options_description description;
  for (const option& o : known) {
    // Values are texts: Program_options would take -1 for an unsigned number.
    if (o.value.empty()) {
      description.add_options()(std::string(o.name).c_str(), "");
    } else {
      description.add_options()(std::string(o.name).c_str(), po::value<std::string>(), "");
    }
  }
  // Without guessing: an abbreviation must not change its meaning with the next version.
  const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
  try {
    const auto parsed = po::command_line_parser(words)
                            .options(description)
                            .positional(po::positional_options_description())
                            .style(style)
                            .run();
    for (const auto& o : parsed.options) {
      if (o.string_key.empty() || o.position_key >= 0) {
        throw command_error(misused, "'" + o.value.front() + "' is no option");
      }
      if (!values_.emplace(o.string_key, o.value.empty() ? "" : o.value.front()).second) {
        throw command_error(misused, "--" + o.string_key + " stands twice");
      }
    }
  } catch (const po::too_many_positional_options_error&) {
    for (const std::string& word : words) {
      if (word.rfind('-', 0) != 0) throw command_error(misused, "'" + word + "' is no option");
    }
    throw command_error(misused, "there is a word too many");
  } catch (const po::error& error) {
    throw command_error(misused, error.what());
  }
}

std::string given_options::get(std::string_view name, std::string_view fallback) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string(fallback) : found->second;
}

std::string describe(const std::vector<option>& known) {
  std::ostringstream text;
  for (const option& o : known) {
    if (o.help.empty()) continue;
    std::string left = "  --" + std::string(o.name);
    if (!o.value.empty()) left += " " + std::string(o.value);
    constexpr std::size_t column = 28;
    if (left.size() + 2 > column) {
      text << left << "\n" << std::string(column, ' ');
    } else {
      text << left << std::string(column - left.size(), ' ');
    }
    for (const char c : o.help) {
      text << c;
      if (c == '\n') text << std::string(column, ' ');
    }
    text << "\n";
  }
  return text.str();
}

void use_session_dir(const given_options& given) {
  if (given.has("session-dir")) {
    ::setenv("TROUPE_SESSION_BASE", given.get("session-dir").c_str(), 1);
  }
}

exit_code code_of(const std::string& text) {
  const auto says = [&text](std::string_view part) { return text.find(part) != std::string::npos; };
  if (says("can not listen")) return failed;
  if (says("protocol version")) return version_differs;
  if (says("cluster key")) return not_authorised;
  return unreachable;
}

double parse_seconds(const std::string& text, std::string_view what) {
  try {
    if (!text.empty() && text.find_first_not_of("0123456789.") == std::string::npos) {
      return core::parse_amount(text, what);
    }
    return static_cast<double>(core::parse_duration(text, what).count()) * 1e-9;
  } catch (const std::invalid_argument& error) {
    throw command_error(misused, error.what());
  }
}

}  // namespace troupe::tools
