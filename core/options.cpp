#include "core/options.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include <unistd.h>

#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>

#include "core/options_file.hpp"
#include "core/options_table.hpp"
#include "core/units.hpp"

namespace troupe::core {
namespace {

namespace po = boost::program_options;

constexpr std::string_view prefix = "--troupe-";
constexpr std::string_view variable_prefix = "TROUPE_";
constexpr std::string_view config_variable = "TROUPE_CONFIG";

/// Variables that belong to troupe's build, tests and benchmarks, not to a session.
constexpr std::string_view foreign_variables[] = {
    "TROUPE_BENCH", "TROUPE_BUILD",    "TROUPE_CCACHE", "TROUPE_GPU",   "TROUPE_JOBS",
    "TROUPE_PCH",   "TROUPE_SANITIZE", "TROUPE_TESTS",  "TROUPE_WERROR"};
constexpr std::string_view foreign_prefixes[] = {
    "TROUPE_BENCH_", "TROUPE_TEST_",
    // How the processes of a cluster find each other: see net/cluster_address.hpp.
    "TROUPE_WORKER_", "TROUPE_SESSION_BASE", "TROUPE_SESSION_DIR", "TROUPE_KEY_FILE",
    "TROUPE_CLUSTER_KEY",
    // See core/fault.hpp.
    "TROUPE_FAULTS"};

/// What one source says, by option; `what` names the place in errors.
struct found_value {
  std::string text;
  std::string what;
  std::string where;
};
using found_values = std::map<std::string, found_value, std::less<>>;

const option_info* find_option(std::string_view name) {
  const auto options = all_options();
  const auto at = std::ranges::find(options, name, &option_info::name);
  return at == options.end() ? nullptr : &*at;
}

/// The number of characters to insert, remove or replace that lie between two texts.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string nearest(std::string_view name, const std::vector<std::string>& known) {
  // Longer than any option is not worth a table of its length squared.
  name = name.substr(0, 64);
  return *std::ranges::min_element(
      known, {}, [&](const std::string& candidate) { return edit_distance(name, candidate); });
}

[[noreturn]] void refuse_name(const std::string& message, std::string_view name,
                              const std::vector<std::string>& known) {
  throw std::invalid_argument(message + "; the nearest known one is " + nearest(name, known) +
                              ", --troupe-help lists all");
}

std::vector<std::string> known_names(auto transform) {
  std::vector<std::string> names;
  for (const option_info& option : all_options()) names.push_back(transform(option.name));
  return names;
}

std::string on_command_line(std::string_view option) { return std::string(prefix).append(option); }

/// Adds to what a source says: an option is given once, but a list may come in parts.
void add(found_values& values, const option_info& option, found_value value) {
  const auto [at, is_new] = values.try_emplace(std::string(option.name), value);
  if (is_new) return;
  found_value& earlier = at->second;
  if (!option.is_list) {
    refuse_value(value.what, value.text, "is a second value after \"" + earlier.text + "\"",
                 "one value in one place");
  }
  if (!earlier.text.empty() && !value.text.empty()) earlier.text += ',';
  earlier.text += value.text;
}

/// The options as Program_options knows them: for parsing and for the help.
po::options_description describe(const config& base) {
  constexpr unsigned line_length = 100;
  po::options_description description("troupe's options", line_length, line_length / 2);
  const auto add_option = [&](std::string_view name, const po::value_semantic* value,
                              std::string_view help) {
    description.add_options()(on_command_line(name).substr(2).c_str(), value,
                              std::string(help).c_str());
  };
  add_option("help", po::bool_switch(), "show this and exit");
  add_option("config", po::value<std::string>()->value_name("PATH"), "configuration file");
  for (const option_info& option : all_options()) {
    auto* value = po::value<std::string>()->value_name(std::string(option.value_name));
    if (option.is_flag) value->implicit_value("true", "true");
    if (const std::string shown = option.show(base); !shown.empty()) value->default_value(shown);
    add_option(option.name, value, option.help);
  }
  return description;
}

std::string help_text(const po::options_description& description) {
  std::ostringstream text;
  text
      << description
      << "\nBYTES are 4GiB, 512MB, 100k; a DURATION is 500ms, 2s, 1m; AMOUNTs have steps of "
         "0.0001.\n"
         "Each option is also an environment variable (--troupe-num-cpus: TROUPE_NUM_CPUS) and a "
         "key\n"
         "of the configuration file (num-cpus = 4). The command line wins, then the environment, "
         "then\n"
         "the file, then the program. The file is the one that --troupe-config or TROUPE_CONFIG "
         "names,\n"
         "else the first of $XDG_CONFIG_HOME/troupe/troupe.conf, ~/.config/troupe/troupe.conf and\n"
         "/etc/troupe/troupe.conf.\n";
  return text.str();
}

/// The words of the command line that are troupe's: all others may mean anything to the program,
/// and Program_options cannot tell an unknown option's value from a word of its own.
std::vector<std::string> own_words(int argc, const char* const* argv, bool claim_help) {
  std::vector<std::string> own;
  for (int at = 1; at < argc && argv[at] != nullptr; ++at) {
    const std::string_view word = argv[at];
    if (word == "--") break;
    if (claim_help && word == "--help") own.push_back(on_command_line("help"));
    if (!word.starts_with(prefix)) continue;
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(prefix.size(), equals - prefix.size());
    const option_info* option = find_option(name);
    const bool wants_value = name == "config" || (option != nullptr && !option->is_flag);
    if (wants_value && equals == word.size() - 1) {
      // Program_options takes an empty value only as a word of its own.
      own.insert(own.end(), {std::string(word.substr(0, equals)), std::string()});
      continue;
    }
    own.emplace_back(word);
    const bool has_next = at + 1 < argc && argv[at + 1] != nullptr;
    if (wants_value && equals == std::string_view::npos && has_next &&
        !std::string_view(argv[at + 1]).starts_with("--")) {
      own.emplace_back(argv[++at]);
    }
  }
  return own;
}

po::parsed_options parse_words(const std::vector<std::string>& words,
                               const po::options_description& description) {
  namespace style = po::command_line_style;
  try {
    // The default style also guesses: --troupe-num would then mean whatever begins so today.
    return po::command_line_parser(words)
        .options(description)
        .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
        .run();
  } catch (const po::unknown_option& e) {
    std::vector<std::string> known = known_names(on_command_line);
    known.push_back(on_command_line("config"));
    known.push_back(on_command_line("help"));
    const std::string word = e.get_option_name();
    const std::string name = word.substr(0, word.find('='));
    refuse_name("unknown option " + name, name, known);
  } catch (const po::error& e) {
    throw std::invalid_argument(std::string("command line: ") + e.what() +
                                "; write --troupe-NAME=VALUE, --troupe-help lists all");
  }
}

struct command_line {
  found_values values;
  std::optional<std::string> config_path;
  bool help = false;
};

command_line read_command_line(int argc, const char* const* argv, const config& base,
                               const po::options_description& description) {
  command_line result;
  for (const po::option& parsed :
       parse_words(own_words(argc, argv, base.claim_help), description).options) {
    const std::string name = parsed.string_key.substr(prefix.size() - 2);
    const std::string text = parsed.value.empty() ? "true" : parsed.value.front();
    const std::string what = on_command_line(name);
    if (name == "help") {
      result.help = true;
    } else if (name == "config") {
      if (result.config_path) refuse_value(what, text, "is a second file", "one file");
      result.config_path = text;
    } else {
      add(result.values, *find_option(name), {text, what, "command line"});
    }
  }
  return result;
}

bool is_foreign(std::string_view variable) {
  return variable == config_variable || std::ranges::count(foreign_variables, variable) != 0 ||
         std::ranges::any_of(foreign_prefixes, [&](std::string_view foreign) {
           return variable.starts_with(foreign);
         });
}

found_values read_environment(const config_sources& sources) {
  std::map<std::string, const option_info*> by_variable;
  for (const option_info& option : all_options()) {
    by_variable.emplace(environment_name(option.name), &option);
  }
  found_values values;
  for (const auto& [name, text] : sources.environment) {
    if (!name.starts_with(variable_prefix) || is_foreign(name)) continue;
    const auto known = by_variable.find(name);
    if (known == by_variable.end()) {
      refuse_name("unknown environment variable " + name, name, known_names(environment_name));
    }
    if (text.empty()) continue;
    // A name that stands twice in the environment means its first value, as for getenv.
    values.try_emplace(std::string(known->second->name), found_value{text, name, name});
  }
  return values;
}

found_values read_file(const std::string& path, const std::string& content) {
  found_values values;
  for (const file_entry& entry : parse_config_lines(path, content)) {
    const option_info* option = find_option(entry.key);
    if (option == nullptr) {
      refuse_name(entry.where + ": unknown key \"" + entry.key + "\"", entry.key,
                  known_names([](std::string_view name) { return std::string(name); }));
    }
    add(values, *option, {entry.value, entry.where + ": " + entry.key, "file " + path});
  }
  return values;
}

std::string variable(const config_sources& sources, std::string_view name) {
  const auto at =
      std::ranges::find(sources.environment, name, &std::pair<std::string, std::string>::first);
  return at == sources.environment.end() ? "" : at->second;
}

found_values read_config_file(const command_line& words, const config_sources& sources) {
  const std::string named = variable(sources, config_variable);
  if (words.config_path) {
    return read_file(*words.config_path, read_named_file(*words.config_path, "--troupe-config"));
  }
  if (!named.empty()) return read_file(named, read_named_file(named, config_variable));

  std::vector<std::string> places;
  const std::string xdg = variable(sources, "XDG_CONFIG_HOME");
  const std::string home = variable(sources, "HOME");
  // A relative one is to be ignored, says its specification.
  if (xdg.starts_with('/')) {
    places.push_back(xdg + "/troupe/troupe.conf");
  } else if (home.starts_with('/')) {
    places.push_back(home + "/.config/troupe/troupe.conf");
  }
  places.push_back(sources.system_file);
  for (const std::string& place : places) {
    if (const auto content = read_file_if_there(place)) return read_file(place, *content);
  }
  return {};
}

}  // namespace

config_sources config_sources::of_process() {
  config_sources sources;
  for (char** at = ::environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    sources.environment.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return sources;
}

loaded_config load_config(int argc, const char* const* argv, config base) {
  return load_config(argc, argv, std::move(base), config_sources::of_process());
}

loaded_config load_config(int argc, const char* const* argv, config base,
                          const config_sources& sources) {
  loaded_config loaded;
  const po::options_description description = describe(base);
  const command_line words = read_command_line(argc, argv, base, description);
  loaded.help_text = help_text(description);
  loaded.value = std::move(base);
  if (words.help) {
    loaded.help_requested = true;
    return loaded;
  }
  check_config(loaded.value);

  const found_values by_precedence[] = {words.values, read_environment(sources),
                                        read_config_file(words, sources)};
  for (const option_info& option : all_options()) {
    const std::string name(option.name);
    option_origin origin{name, option.show(loaded.value), "default"};
    // From the last to the first: also a value that is overridden must be a good one.
    for (std::size_t at = std::size(by_precedence); at-- > 0;) {
      const auto found = by_precedence[at].find(name);
      if (found == by_precedence[at].end()) continue;
      const found_value& value = found->second;
      option.set(loaded.value, value.text, value.what);
      option.check(loaded.value, value.what);
      origin.text = value.text;
      origin.where = value.where;
    }
    loaded.origins.push_back(std::move(origin));
  }
  loaded.value.soft_max_threads = std::min(loaded.value.soft_max_threads, loaded.value.max_threads);
  return loaded;
}

void check_config(const config& value) {
  for (const option_info& option : all_options()) {
    option.check(value, "troupe::config, " + std::string(option.name));
  }
}

}  // namespace troupe::core
