// Reads any text as what users write: amounts, sizes, durations, lists, configuration files, the
// command line. Input: one byte that chooses, then the text; words are ended by a zero byte.
#include <stdexcept>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "core/options_file.hpp"
#include "core/resources.hpp"
#include "core/units.hpp"
#include "test/fuzz/fuzz.hpp"
#include "tools/troupe/command_line.hpp"
#include "tools/troupe/resources_option.hpp"

using namespace troupe;

namespace {

/// Calls `f`; what is wrong with a text is an error that says so.
template <class F>
void attempt(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    fuzz::check(error.what()[0] != '\0', "a text is refused without a reason");
  } catch (const tools::command_error& error) {
    fuzz::check(error.what()[0] != '\0', "a text is refused without a reason");
  }
}

void units(const std::string& text) {
  attempt([&] { core::parse_count(text, "it"); });
  attempt([&] {
    const auto bytes = core::parse_bytes(text, "it");
    fuzz::check(core::parse_bytes(core::format_bytes(bytes), "it") == bytes, "bytes change");
  });
  attempt([&] {
    const auto time = core::parse_duration(text, "it");
    fuzz::check(core::parse_duration(core::format_duration(time), "it") == time, "a time changes");
  });
  attempt([&] {
    const double amount = core::parse_amount(text, "it");
    fuzz::check(core::parse_amount(core::format_amount(amount), "it") == amount,
                "an amount changes");
    core::resource_amount::from_double(amount, "it");
  });
  attempt([&] { core::parse_flag(text, "it"); });
  attempt([&] { core::parse_pairs(text, "it"); });
  attempt([&] { tools::parse_seconds(text, "it"); });
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size() && words.size() < 50;) {
    const std::size_t end = std::min(text.find('\0', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void file(const std::string& text) {
  attempt([&] {
    for (const auto& entry : core::parse_config_lines("fuzz.conf", text)) {
      fuzz::check(!entry.key.empty(), "an entry without a key");
    }
  });
}

void program_options(const std::string& text) {
  const std::vector<std::string> words = words_of(text);
  core::config_sources none;
  none.system_file.clear();
  std::vector<const char*> argv{"fuzz"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  attempt([&] { core::load_config(static_cast<int>(argv.size()), argv.data(), {}, none); });
  // And as variables.
  for (const std::string& word : words) {
    const std::size_t end = word.find('=');
    if (end == std::string::npos) continue;
    none.environment.emplace_back(word.substr(0, end), word.substr(end + 1));
  }
  attempt([&] { core::load_config(0, nullptr, {}, none); });
}

void command_line(const std::string& text) {
  static const std::vector<tools::option> known = {
      {"head", "", "a flag"}, {"address", "HOST:PORT", "a value"}, {"help", "", "another flag"}};
  attempt([&] {
    const tools::given_options given(words_of(text), known);
    given.get("address", "none");
  });
}

void resources(const std::string& text) {
  attempt([&] { tools::parse_resources(text); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  constexpr void (*parsers[])(const std::string&) = {units, file, program_options, command_line,
                                                     resources};
  const auto parser = parsers[in.number<std::uint8_t>() % std::size(parsers)];
  parser(std::string(in.text()));
  return 0;
}
