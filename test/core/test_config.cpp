#include <algorithm>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <stdlib.h>

#include "core/options.hpp"
#include "core/options_table.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe;
using namespace troupe::core;
using namespace std::chrono_literals;
using test::contains;
using test::temp_folder;

namespace {

using variables = std::vector<std::pair<std::string, std::string>>;

/// A machine without configuration files.
config_sources only(variables environment) {
  return {.environment = std::move(environment), .system_file = "/nonexistent/troupe.conf"};
}

loaded_config load(std::vector<const char*> words, config base = {},
                   const config_sources& sources = only({})) {
  words.insert(words.begin(), "program");
  return load_config(static_cast<int>(words.size()), words.data(), std::move(base), sources);
}

std::string refusal(const std::vector<const char*>& words,
                    const config_sources& sources = only({})) {
  try {
    load(words, {}, sources);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

option_origin origin(const loaded_config& loaded, std::string_view option) {
  return *std::ranges::find(loaded.origins, option, &option_origin::option);
}

}  // namespace

TEST_CASE("without any source the configuration is the program's") {
  const config base{.num_gpus = 2, .resources = {{"disk", 1}}, .max_pending = 7};
  const loaded_config loaded = load({}, base);
  CHECK(loaded.value == base);
  CHECK_FALSE(loaded.help_requested);
  CHECK(loaded.origins.size() == all_options().size());
  CHECK(std::ranges::all_of(loaded.origins, [](const auto& o) { return o.where == "default"; }));
  CHECK(origin(loaded, "resources").text == "disk=1");
  CHECK(origin(loaded, "num-cpus").text == "detected");
}

TEST_CASE("init without arguments reads no command line") {
  CHECK(load_config(0, nullptr, {}, only({})).value == config{});
}

TEST_CASE("every option is set from the command line") {
  const config value = load({"--troupe-num-cpus=1.5",
                             "--troupe-num-gpus=2",
                             "--troupe-resources=disk=1,license=0.5",
                             "--troupe-memory=4GiB",
                             "--troupe-namespace=mine",
                             "--troupe-address=host:1",
                             "--troupe-log-level=debug",
                             "--troupe-log-file=/tmp/a b.log",
                             "--troupe-log-file-max-bytes=1MB",
                             "--troupe-log-files=2",
                             "--troupe-ignore-reinit",
                             "--troupe-max-threads=100",
                             "--troupe-soft-max-threads=50",
                             "--troupe-max-pending=1000",
                             "--troupe-shutdown-timeout=1m",
                             "--troupe-thread-stack-bytes=1MiB",
                             "--troupe-max-throughput=10",
                             "--troupe-generator-backpressure=3",
                             "--troupe-node-name=n1",
                             "--troupe-labels=zone=a,disk=ssd"})
                           .value;
  const config expected{.num_cpus = 1.5,
                        .num_gpus = 2,
                        .resources = {{"disk", 1}, {"license", 0.5}},
                        .memory = 4ULL << 30,
                        .job_namespace = "mine",
                        .address = "host:1",
                        .log_level = log_level::debug,
                        .log_file = "/tmp/a b.log",
                        .log_file_max_bytes = 1'000'000,
                        .log_files = 2,
                        .ignore_reinit = true,
                        .max_threads = 100,
                        .soft_max_threads = 50,
                        .max_pending = 1000,
                        .shutdown_timeout = 60s,
                        .thread_stack_bytes = 1 << 20,
                        .max_throughput = 10,
                        .generator_backpressure = 3,
                        .node_name = "n1",
                        .labels = {{"zone", "a"}, {"disk", "ssd"}}};
  CHECK(value == expected);
}

TEST_CASE("an option's value may be a word of its own, also an empty one") {
  CHECK(load({"--troupe-num-cpus", "3", "input"}).value.num_cpus == 3.0);
  CHECK(load({"--troupe-node-name", ""}, {.node_name = "x"}).value.node_name.empty());
  CHECK(load({"--troupe-node-name="}, {.node_name = "x"}).value.node_name.empty());
  CHECK(load({"--troupe-resources="}, {.resources = {{"a", 1}}}).value.resources.empty());
}

TEST_CASE("a flag takes no word after it") {
  CHECK(load({"--troupe-ignore-reinit", "false"}).value.ignore_reinit);
  CHECK_FALSE(load({"--troupe-ignore-reinit=false"}, {.ignore_reinit = true}).value.ignore_reinit);
}

TEST_CASE("the program's own words are left alone") {
  CHECK(load({"input", "-v", "--verbose", "--num-cpus=x", "--help", "-n", "-1", "--=", "-", "",
              "--troup", "--troupe", "--troupe_x", "--x=--troupe-y"})
            .value == config{});
  CHECK(load({"--", "--troupe-unknown", "--troupe-num-cpus=bad"}).value == config{});
}

TEST_CASE("an unknown option is an error that has the nearest name") {
  CHECK_THAT(refusal({"--troupe-num-cpu=4"}), contains("--troupe-num-cpu;") &&
                                                  contains("is --troupe-num-cpus,") &&
                                                  contains("--troupe-help"));
  CHECK_THAT(refusal({"--troupe-confg", "x"}), contains("is --troupe-config,"));
  CHECK_THAT(refusal({"--troupe-"}), contains("--troupe-"));
  CHECK_THAT(refusal({"--troupe-claim-help"}), contains("unknown"));
}

TEST_CASE("an option without its value is an error that has its name") {
  CHECK_THAT(refusal({"--troupe-num-cpus"}), contains("--troupe-num-cpus"));
  CHECK_THAT(refusal({"--troupe-num-cpus", "--verbose"}), contains("--troupe-num-cpus"));
  CHECK_THAT(refusal({"--troupe-ignore-reinit="}), contains("--troupe-ignore-reinit"));
  CHECK_THAT(refusal({"--troupe-help=1"}), contains("--troupe-help"));
}

TEST_CASE("an option given twice is an error, a list given twice is joined") {
  CHECK_THAT(refusal({"--troupe-num-cpus=1", "--troupe-num-cpus=2"}),
             contains("--troupe-num-cpus: \"2\"") && contains("second"));
  CHECK_THAT(refusal({"--troupe-config=/dev/null", "--troupe-config=/dev/null"}),
             contains("--troupe-config"));
  const config value = load({"--troupe-labels=a=1", "--troupe-labels=b=2"}).value;
  CHECK(value.labels == variables{{"a", "1"}, {"b", "2"}});
  CHECK_THAT(refusal({"--troupe-labels=a=1", "--troupe-labels=a=2"}), contains("twice"));
}

TEST_CASE("a bad value is an error with the option, the text, the reason and what is allowed") {
  const auto [option, text] = GENERATE(table<std::string, std::string>(
      {{"num-cpus", "-1"},           {"num-cpus", "nan"},        {"num-cpus", "0.00001"},
       {"num-gpus", "inf"},          {"memory", "4XiB"},         {"memory", "-1"},
       {"log-level", "loud"},        {"log-level", "INFO"},      {"log-files", "0"},
       {"log-files", "-1"},          {"max-threads", "0"},       {"max-threads", "4294967297"},
       {"max-pending", "1.5"},       {"shutdown-timeout", "10"}, {"shutdown-timeout", "-1s"},
       {"thread-stack-bytes", "1k"}, {"ignore-reinit", "maybe"}, {"resources", "disk"},
       {"resources", "CPU=1"},       {"labels", "=x"},           {"node-name", "a\nb"}}));
  CAPTURE(option, text);
  const std::string word = "--troupe-" + option + "=" + text;
  CHECK_THAT(refusal({word.c_str()}), contains("--troupe-" + option) && contains("allowed is"));
  const std::string variable = environment_name(option);
  CHECK_THAT(refusal({}, only({{variable, text}})), contains(variable) && contains("allowed is"));
}

TEST_CASE("the amount of a resource that makes no sense is named with it") {
  CHECK_THAT(refusal({"--troupe-resources=disk=1,license=-2"}), contains("license: \"-2\""));
}

TEST_CASE("the command line wins over the environment, that over the file, that over the program") {
  const temp_folder folder;
  const std::string file = folder.write("t.conf", "num-gpus = 1\nmax-pending = 1\nlog-files = 1\n");
  const auto sources =
      only({{"TROUPE_CONFIG", file}, {"TROUPE_NUM_GPUS", "2"}, {"TROUPE_MAX_PENDING", "2"}});
  const loaded_config loaded =
      load({"--troupe-num-gpus=3"},
           {.num_gpus = 4, .log_files = 4, .max_pending = 4, .max_throughput = 4}, sources);
  CHECK(loaded.value.num_gpus == 3);
  CHECK(loaded.value.max_pending == 2);
  CHECK(loaded.value.log_files == 1);
  CHECK(loaded.value.max_throughput == 4);
  CHECK(origin(loaded, "num-gpus").where == "command line");
  CHECK(origin(loaded, "max-pending").where == "TROUPE_MAX_PENDING");
  CHECK(origin(loaded, "log-files").where == "file " + file);
  CHECK(origin(loaded, "max-throughput").where == "default");
  CHECK(origin(loaded, "max-throughput").text == "4");
}

TEST_CASE("a list of one source replaces that of a weaker one") {
  const config value = load({"--troupe-resources=a=1"}, {.resources = {{"b", 2}}},
                            only({{"TROUPE_RESOURCES", "c=3"}}))
                           .value;
  CHECK(value.resources == std::vector<std::pair<std::string, double>>{{"a", 1}});
}

TEST_CASE("a bad value is an error also where another source overrides it") {
  CHECK_THAT(refusal({"--troupe-num-cpus=2"}, only({{"TROUPE_NUM_CPUS", "two"}})),
             contains("TROUPE_NUM_CPUS: \"two\""));
}

TEST_CASE("an unknown variable of troupe's is an error that has its and the nearest name") {
  CHECK_THAT(refusal({}, only({{"TROUPE_NUM_CPU", "4"}})),
             contains("TROUPE_NUM_CPU;") && contains("is TROUPE_NUM_CPUS,"));
  CHECK_THAT(refusal({}, only({{"TROUPE_num_cpus", "4"}})), contains("TROUPE_num_cpus"));
}

TEST_CASE("variables of others and of troupe's build and tests are left alone") {
  CHECK(load({}, {},
             only({{"NUM_CPUS", "x"},
                   {"MYTROUPE_X", "x"},
                   {"TROUPE_WERROR", "x"},
                   {"TROUPE_BENCH", "x"},
                   {"TROUPE_BENCH_COMPILER", "x"},
                   {"TROUPE_TEST_ANY", "x"},
                   {"TROUPE_JOBS", "2"}}))
            .value == config{});
}

TEST_CASE("an empty variable counts as not set and the first of two with one name counts") {
  CHECK_FALSE(load({}, {}, only({{"TROUPE_NUM_CPUS", ""}})).value.num_cpus);
  CHECK(
      load({}, {}, only({{"TROUPE_LOG_FILES", "2"}, {"TROUPE_LOG_FILES", "3"}})).value.log_files ==
      2);
}

TEST_CASE("the environment of the process is read") {
  ::setenv("TROUPE_TEST_OF_CONFIG", "a=b", 1);
  const config_sources sources = config_sources::of_process();
  ::unsetenv("TROUPE_TEST_OF_CONFIG");
  CHECK(std::ranges::count(sources.environment, std::pair<std::string, std::string>(
                                                    "TROUPE_TEST_OF_CONFIG", "a=b")) == 1);
}

TEST_CASE("a file has comments, blanks and values with blanks") {
  const temp_folder folder;
  const std::string file = folder.write("my troupe.conf",
                                        "# settings\n\n"
                                        "  num-cpus = 2.5   # of 8\r\n"
                                        "log-file=/var/log/my troupe.log\n"
                                        "labels = zone=a\n"
                                        "labels = disk=ssd\n"
                                        "node-name =\n"
                                        "ignore-reinit = yes");
  const config value = load({"--troupe-config", file.c_str()}, {.node_name = "x"}).value;
  CHECK(value.num_cpus == 2.5);
  CHECK(value.log_file == "/var/log/my troupe.log");
  CHECK(value.labels == variables{{"zone", "a"}, {"disk", "ssd"}});
  CHECK(value.node_name.empty());
  CHECK(value.ignore_reinit);
}

TEST_CASE("an error in a file names the file and the line") {
  const auto [line, expected] = GENERATE(
      table<std::string, std::string>({{"num-cpu = 4", "the nearest known one is num-cpus,"},
                                       {"TROUPE_NUM_CPUS = 4", "unknown key \"TROUPE_NUM_CPUS\""},
                                       {"num-cpus = four", "num-cpus: \"four\""},
                                       {"num-gpus = 2", "second value"},
                                       {"num-cpus", "is no entry"},
                                       {"[section]", "begins a section"},
                                       {"= 4", "has a value without a name"},
                                       {"log-file = /tmp/a#b", "# inside a word"}}));
  CAPTURE(line);
  const temp_folder folder;
  const std::string file = folder.write("t.conf", "num-gpus = 1\n\n" + line + "\n");
  CHECK_THAT(refusal({"--troupe-config", file.c_str()}),
             contains("file " + file + ", line 3: ") && contains(expected));
}

TEST_CASE("a file that is asked for and cannot be read is an error that says by what") {
  const temp_folder folder;
  const std::string missing = folder / "none.conf";
  CHECK_THAT(refusal({"--troupe-config", missing.c_str()}),
             contains("--troupe-config: \"" + missing) && contains("No such file"));
  CHECK_THAT(refusal({}, only({{"TROUPE_CONFIG", missing}})),
             contains("TROUPE_CONFIG: \"" + missing));
  CHECK_THAT(refusal({}, only({{"TROUPE_CONFIG", folder.path().string()}})), contains("directory"));
  CHECK_THAT(refusal({}, only({{"TROUPE_CONFIG", "/dev/zero"}})), contains("too large"));
  CHECK(refusal({}, only({{"TROUPE_CONFIG", "/dev/null"}})) == "accepted");
}

TEST_CASE("the file is looked for with the user, then with the system, and only one is read") {
  const temp_folder folder;
  config_sources sources = only({});
  sources.system_file = folder.write("etc/troupe.conf", "log-files = 1\nmax-pending = 1\n");
  CHECK(load({}, {}, sources).value.log_files == 1);

  folder.write("home/.config/troupe/troupe.conf", "log-files = 2\n");
  sources.environment = {{"HOME", folder / "home"}};
  CHECK(load({}, {}, sources).value.log_files == 2);
  CHECK(load({}, {}, sources).value.max_pending == config{}.max_pending);

  sources.environment.emplace_back("XDG_CONFIG_HOME", folder / "xdg");
  CHECK(load({}, {}, sources).value.log_files == 1);
  folder.write("xdg/troupe/troupe.conf", "log-files = 3\n");
  CHECK(load({}, {}, sources).value.log_files == 3);

  const std::string named = folder.write("named.conf", "log-files = 4\n");
  sources.environment.emplace_back("TROUPE_CONFIG", named);
  CHECK(load({}, {}, sources).value.log_files == 4);
  const std::string asked = "--troupe-config=" + folder.write("asked.conf", "log-files = 5\n");
  CHECK(load({asked.c_str()}, {}, sources).value.log_files == 5);
}

TEST_CASE("help lists every option and is given even where other sources are wrong") {
  const loaded_config loaded =
      load({"--troupe-help"}, {.num_gpus = 3}, only({{"TROUPE_NUM_CPU", "4"}}));
  CHECK(loaded.help_requested);
  for (const option_info& option : all_options()) {
    CHECK_THAT(loaded.help_text, contains("--troupe-" + std::string(option.name) + " "));
  }
  CHECK_THAT(loaded.help_text, contains("--troupe-config") && contains("(=3)"));
}

TEST_CASE("plain --help is troupe's only where the program says so") {
  CHECK_FALSE(load({"--help"}).help_requested);
  CHECK(load({"--help"}, {.claim_help = true}).help_requested);
  CHECK_FALSE(load({"--", "--help"}, {.claim_help = true}).help_requested);
}

TEST_CASE("a value of the program that no option could have is refused") {
  CHECK_NOTHROW(check_config({}));
  CHECK_THROWS_WITH(check_config({.num_cpus = -1}), contains("num-cpus"));
  CHECK_THROWS_WITH(check_config({.num_gpus = std::numeric_limits<double>::quiet_NaN()}),
                    contains("num-gpus"));
  CHECK_THROWS_WITH(check_config({.resources = {{"a", 1}, {"a", 2}}}), contains("twice"));
  CHECK_THROWS_WITH(check_config({.log_level = static_cast<log_level>(17)}), contains("log-level"));
  CHECK_THROWS_WITH(check_config({.log_file = std::string("a\0b", 3)}), contains("log-file"));
  CHECK_THROWS_WITH(check_config({.max_threads = 0}), contains("max-threads"));
  CHECK_THROWS_WITH(check_config({.shutdown_timeout = -1ms}), contains("shutdown-timeout"));
  CHECK_THROWS_WITH(check_config({.labels = {{"", "x"}}}), contains("labels"));
  CHECK_THROWS_AS(load({}, {.log_files = 0}), std::invalid_argument);
}

TEST_CASE("the soft bound of threads is never above the hard one") {
  CHECK(load({"--troupe-max-threads=8"}).value.soft_max_threads == 8);
}

TEST_CASE("a wait for shutdown that is not whole milliseconds is rounded up") {
  CHECK(load({"--troupe-shutdown-timeout=100us"}).value.shutdown_timeout == 1ms);
  CHECK(load({"--troupe-shutdown-timeout=0"}).value.shutdown_timeout == 0ms);
}
