#include "core/options_table.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "core/resources.hpp"
#include "core/units.hpp"

namespace troupe::core {
namespace {

using names_and_amounts = std::vector<std::pair<std::string, double>>;

template <auto Field>
void require_range(const config& value, std::string_view what, std::uint64_t low,
                   std::uint64_t high, std::string (*format)(std::uint64_t)) {
  const std::uint64_t number = value.*Field;
  if (number >= low && number <= high) return;
  refuse_value(what, format(number), "is out of range", format(low) + " to " + format(high));
}

std::string format_count(std::uint64_t value) { return std::to_string(value); }

/// A whole number from `Low` to `High`.
template <auto Field, std::uint64_t Low, std::uint64_t High>
constexpr option_info count_option(std::string_view name, std::string_view help) {
  return {.name = name,
          .value_name = "N",
          .help = help,
          .set = [](config& to, std::string_view text,
                    std::string_view what) { to.*Field = parse_count(text, what); },
          .check =
              [](const config& value, std::string_view what) {
                require_range<Field>(value, what, Low, High, format_count);
              },
          .show = [](const config& value) { return format_count(value.*Field); }};
}

template <auto Field, std::uint64_t Low, std::uint64_t High>
constexpr option_info bytes_option(std::string_view name, std::string_view help) {
  return {.name = name,
          .value_name = "BYTES",
          .help = help,
          .set = [](config& to, std::string_view text,
                    std::string_view what) { to.*Field = parse_bytes(text, what); },
          .check =
              [](const config& value, std::string_view what) {
                require_range<Field>(value, what, Low, High, format_bytes);
              },
          .show = [](const config& value) { return format_bytes(value.*Field); }};
}

/// Text without control characters, which no name or path has but by mistake.
template <auto Field>
constexpr option_info text_option(std::string_view name, std::string_view value_name,
                                  std::string_view help) {
  return {.name = name,
          .value_name = value_name,
          .help = help,
          .set = [](config& to, std::string_view text,
                    std::string_view) { (to.*Field).assign(text.data(), text.size()); },
          .check =
              [](const config& value, std::string_view what) {
                const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
                if (std::ranges::any_of(value.*Field, is_control)) {
                  refuse_value(what, value.*Field, "has control characters", "plain text");
                }
              },
          .show = [](const config& value) { return value.*Field; }};
}

template <auto Field>
constexpr option_info flag_option(std::string_view name, std::string_view help) {
  return {
      .name = name,
      .value_name = "BOOL",
      .help = help,
      .is_flag = true,
      .set = [](config& to, std::string_view text,
                std::string_view what) { to.*Field = parse_flag(text, what); },
      .check = [](const config&, std::string_view) {},
      .show = [](const config& value) -> std::string { return value.*Field ? "true" : "false"; }};
}

void check_amount(double amount, std::string_view what) {
  // Its own checks are those of a resource; only the name is added.
  static_cast<void>(resource_amount::from_double(amount, what));
}

void check_unique_names(const auto& pairs, std::string_view what) {
  for (auto at = pairs.begin(); at != pairs.end(); ++at) {
    if (at->first.empty()) {
      refuse_value(what, "", "is an empty name", "a name before each =");
    }
    if (at->first.find_first_of(",=") != std::string::npos) {
      refuse_value(what, at->first, "has a comma or =", "a name without them");
    }
    const bool repeated = std::any_of(
        pairs.begin(), at, [&](const auto& earlier) { return earlier.first == at->first; });
    if (repeated) refuse_value(what, at->first, "is given twice", "each name once");
  }
}

void check_resources(const config& value, std::string_view what) {
  check_unique_names(value.resources, what);
  for (const auto& [name, amount] : value.resources) {
    if (name == cpu_name || name == gpu_name || name == memory_name) {
      refuse_value(what, name, "is built in", "num-cpus, num-gpus and memory for those");
    }
    check_amount(amount, std::string(what) + ": " + name);
  }
}

void set_resources(config& to, std::string_view text, std::string_view what) {
  names_and_amounts found;
  for (const auto& [name, amount] : parse_pairs(text, what)) {
    found.emplace_back(name, parse_amount(amount, std::string(what) + ": " + name));
  }
  to.resources = std::move(found);
}

void set_labels(config& to, std::string_view text, std::string_view what) {
  to.labels = parse_pairs(text, what);
}

std::string join(const auto& pairs, auto format) {
  std::string text;
  for (const auto& [name, value] : pairs) {
    if (!text.empty()) text += ',';
    text += name + "=" + format(value);
  }
  return text;
}

void set_log_level(config& to, std::string_view text, std::string_view what) {
  for (const log_level level : {log_level::trace, log_level::debug, log_level::info,
                                log_level::warn, log_level::error, log_level::off}) {
    if (text == to_string(level)) {
      to.log_level = level;
      return;
    }
  }
  refuse_value(what, text, "is no level", "trace, debug, info, warn, error or off");
}

void check_log_level(const config& value, std::string_view what) {
  if (value.log_level <= log_level::off) return;
  refuse_value(what, std::to_string(static_cast<int>(value.log_level)), "is no level",
               "trace, debug, info, warn, error or off");
}

void check_shutdown_timeout(const config& value, std::string_view what) {
  constexpr auto longest = std::chrono::duration_cast<std::chrono::milliseconds>(longest_duration);
  if (value.shutdown_timeout.count() >= 0 && value.shutdown_timeout <= longest) return;
  refuse_value(what, std::to_string(value.shutdown_timeout.count()) + "ms", "is out of range",
               "0 to " + format_duration(longest_duration));
}

void check_memory(const config& value, std::string_view what) {
  if (value.memory) static_cast<void>(resource_amount::from_whole(*value.memory, what));
}

constexpr std::uint64_t kibi = 1 << 10;
constexpr std::uint64_t pebi = 1ULL << 50;
constexpr std::uint64_t billion = 1'000'000'000;

// Fields are read as std::uint64_t.
static_assert(std::is_same_v<std::size_t, std::uint64_t>);

constexpr std::array options{
    option_info{.name = "num-cpus",
                .value_name = "AMOUNT",
                .help = "CPUs that tasks share, fractions allowed; by default what affinity and "
                        "cgroups give",
                .set = [](config& to, std::string_view text,
                          std::string_view what) { to.num_cpus = parse_amount(text, what); },
                .check =
                    [](const config& value, std::string_view what) {
                      if (value.num_cpus) check_amount(*value.num_cpus, what);
                    },
                .show =
                    [](const config& value) {
                      return value.num_cpus ? format_amount(*value.num_cpus) : "detected";
                    }},
    option_info{.name = "num-gpus",
                .value_name = "AMOUNT",
                .help = "GPUs that tasks share; by default what the machine has and "
                        "CUDA_VISIBLE_DEVICES leaves",
                .set = [](config& to, std::string_view text,
                          std::string_view what) { to.num_gpus = parse_amount(text, what); },
                .check =
                    [](const config& value, std::string_view what) {
                      if (value.num_gpus) check_amount(*value.num_gpus, what);
                    },
                .show =
                    [](const config& value) {
                      return value.num_gpus ? format_amount(*value.num_gpus) : "detected";
                    }},
    option_info{.name = "resources",
                .value_name = "NAME=AMOUNT,...",
                .help = "custom resources: disk=1,license=2",
                .is_list = true,
                .set = set_resources,
                .check = check_resources,
                .show = [](const config& value) { return join(value.resources, format_amount); }},
    option_info{.name = "memory",
                .value_name = "BYTES",
                .help =
                    "memory that tasks may ask for; by default 70 % of what machine and cgroups "
                    "give",
                .set = [](config& to, std::string_view text,
                          std::string_view what) { to.memory = parse_bytes(text, what); },
                .check = check_memory,
                .show =
                    [](const config& value) {
                      return value.memory ? format_bytes(*value.memory) : "detected";
                    }},
    text_option<&config::job_namespace>("namespace", "NAME", "namespace of named actors"),
    text_option<&config::address>("address", "ADDRESS",
                                  "cluster to connect to; empty: everything in this process"),
    bytes_option<&config::max_inline_bytes, 1, pebi>(
        "max-inline-bytes", "values of so many bytes lie in the node's store"),
    bytes_option<&config::max_lineage_bytes, 0, pebi>(
        "max-lineage-bytes", "memory for what rebuilds lost results; 0: they are not rebuilt"),
    option_info{
        .name = "log-level",
        .value_name = "LEVEL",
        .help = "trace, debug, info, warn, error or off",
        .set = set_log_level,
        .check = check_log_level,
        .show = [](const config& value) { return std::string(to_string(value.log_level)); }},
    text_option<&config::log_file>("log-file", "PATH", "log file; empty: stderr"),
    bytes_option<&config::log_file_max_bytes, kibi, pebi>("log-file-max-bytes",
                                                          "size at which the log file is rotated"),
    count_option<&config::log_files, 1, 1000>("log-files",
                                              "log files kept, the current one included"),
    flag_option<&config::dedup_output>(
        "dedup-output", "a line that several workers print within 5 s is shown once, with a count"),
    flag_option<&config::ignore_reinit>("ignore-reinit", "a second init joins the running runtime"),
    count_option<&config::max_threads, 1, 1'000'000>("max-threads",
                                                     "hard bound of threads for tasks and actors"),
    count_option<&config::soft_max_threads, 1, 1'000'000>(
        "soft-max-threads", "threads above which blocked tasks are resumed before new ones start"),
    count_option<&config::max_pending, 1, billion>(
        "max-pending",
        "bound of tasks with equal resources that wait, and of waiting calls of an actor"),
    bytes_option<&config::max_queued_bytes, kibi, pebi>(
        "max-queued-bytes",
        "bytes on their way to one process above which those who send to it wait"),
    option_info{
        .name = "shutdown-timeout",
        .value_name = "DURATION",
        .help = "how long shutdown waits for running code",
        .set =
            [](config& to, std::string_view text, std::string_view what) {
              // Up: a wait that was asked for must not become none.
              to.shutdown_timeout =
                  std::chrono::ceil<std::chrono::milliseconds>(parse_duration(text, what));
            },
        .check = check_shutdown_timeout,
        .show = [](const config& value) { return format_duration(value.shutdown_timeout); }},
    bytes_option<&config::thread_stack_bytes, 64 * kibi, pebi>("thread-stack-bytes",
                                                               "stack of each thread"),
    count_option<&config::max_throughput, 1, billion>(
        "max-throughput", "messages that an actor handles before others run"),
    count_option<&config::generator_backpressure, 1, billion>(
        "generator-backpressure", "results that a generator may be ahead of its consumer"),
    bytes_option<&config::package_max_bytes, kibi, pebi>(
        "package-max-bytes", "bytes that the files of one environment may have"),
    text_option<&config::node_name>("node-name", "NAME",
                                    "name of this node; empty: the host's name"),
    option_info{.name = "labels",
                .value_name = "KEY=VALUE,...",
                .help = "labels of this node: zone=a,disk=ssd",
                .is_list = true,
                .set = set_labels,
                .check = [](const config& value,
                            std::string_view what) { check_unique_names(value.labels, what); },
                .show =
                    [](const config& value) {
                      return join(value.labels, [](const std::string& text) { return text; });
                    }},
};

}  // namespace

std::span<const option_info> all_options() { return options; }

std::string environment_name(std::string_view option) {
  std::string name = "TROUPE_";
  for (const char c : option) {
    if (c == '-') {
      name += '_';
    } else {
      name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
  }
  return name;
}

}  // namespace troupe::core
