#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <troupe/log.hpp>

#include "core/log_context.hpp"
#include "core/logging.hpp"
#include "core/logging_text.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe;
using Catch::Matchers::EndsWith;
using core::log_context;
using test::contains;
using test::temp_folder;
namespace logging = core::logging;

namespace {

struct named {
  std::string name;
  core::log_name_source source() const {
    return {this, [](const void* self) noexcept -> std::string_view {
              return static_cast<const named*>(self)->name;
            }};
  }
};

/// The log in a file of the test's own; stderr again at the end.
class log_to_file {
 public:
  explicit log_to_file(config how = {}) {
    how.log_file = folder_ / "log";
    logging::configure(how);
  }
  log_to_file(const log_to_file&) = delete;
  log_to_file& operator=(const log_to_file&) = delete;
  ~log_to_file() { logging::reset(); }

  const temp_folder& folder() const { return folder_; }
  std::vector<std::string> lines(std::string_view file = "log") const {
    std::istringstream content(folder_.read(file));
    std::vector<std::string> found;
    for (std::string line; std::getline(content, line);) found.push_back(line);
    return found;
  }
  std::string message() const {
    const auto found = lines();
    REQUIRE(found.size() == 1);
    return found[0];
  }

 private:
  temp_folder folder_;
};

/// Puts another file in the place of stderr.
class stderr_to {
 public:
  explicit stderr_to(const std::string& path) : saved_(::dup(2)) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(file, 2);
    ::close(file);
  }
  stderr_to(const stderr_to&) = delete;
  stderr_to& operator=(const stderr_to&) = delete;
  ~stderr_to() {
    ::dup2(saved_, 2);
    ::close(saved_);
  }

 private:
  int saved_;
};

std::string escaped(std::string_view text) {
  std::string to;
  logging::append_escaped(to, text);
  return to;
}

struct point {
  int x;
};
std::string to_string(const point& p) { return "(" + std::to_string(p.x) + ")"; }

struct throws {};
std::string to_string(const throws&) { throw std::runtime_error("no"); }

}  // namespace

TEST_CASE("a record has time, thread, level and message in one line") {
  const log_to_file log;
  log::warn("low on disk");
  const std::regex expected(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d )" +
                            std::to_string(::gettid()) + " warn  low on disk");
  INFO(log.message());
  CHECK(std::regex_match(log.message(), expected));
}

TEST_CASE("a record is joined from numbers, text, durations, paths and what has a to_string") {
  using namespace std::chrono_literals;
  const log_to_file log;
  const char* null = nullptr;
  const std::string text = "txt";
  log::info("a ", 1, ' ', -2L, ' ', std::uint8_t{200}, ' ', 0.25, ' ', 0.1F, ' ', true, ' ', text,
            ' ', std::string_view("view"), ' ', null, ' ', 15ms, ' ', 2s, ' ',
            std::filesystem::path("/p"), ' ', point{3}, ' ', std::runtime_error("what"), ' ',
            log_level::warn, ' ', reinterpret_cast<void*>(0x1f));
  CHECK_THAT(log.message(),
             EndsWith(" a 1 -2 200 0.25 0.1 true txt view (null) 15ms 2s /p (3) what warn 0x1f"));
}

TEST_CASE("a duration of an unusual unit keeps its ratio") {
  const log_to_file log;
  log::info(std::chrono::duration<int, std::ratio<1, 60>>(3), "; ", std::chrono::hours(1), "; ",
            std::chrono::duration<double>(0.5));
  CHECK_THAT(log.message(), EndsWith(" 3 * 1/60s; 1h; 0.5s"));
}

TEST_CASE("only records of at least the configured level are written") {
  const log_to_file log({.log_level = log_level::warn});
  log::trace("no");
  log::debug("no");
  log::info("no");
  log::warn("yes 1");
  log::error("yes ", 2);
  log::write(log_level::off, "no");
  const auto lines = log.lines();
  REQUIRE(lines.size() == 2);
  CHECK_THAT(lines[0], EndsWith("warn  yes 1"));
  CHECK_THAT(lines[1], EndsWith("error yes 2"));
  CHECK(log::enabled(log_level::error));
  CHECK_FALSE(log::enabled(log_level::info));
  CHECK_FALSE(log::enabled(log_level::off));
}

TEST_CASE("level off writes nothing, level trace everything") {
  {
    const log_to_file log({.log_level = log_level::off});
    log::error("no");
    CHECK(log.lines().empty());
  }
  const log_to_file log({.log_level = log_level::trace});
  log::trace("yes");
  CHECK_THAT(log.message(), EndsWith("trace yes"));
}

TEST_CASE("what is not written is not joined") {
  const log_to_file log({.log_level = log_level::error});
  const auto before = logging::dropped();
  log::info(throws{});
  CHECK(logging::dropped() == before);
}

TEST_CASE("a part that cannot be shown costs the record, not the caller") {
  const log_to_file log;
  const auto before = logging::dropped();
  log::info("a", throws{});
  CHECK(logging::dropped() == before + 1);
  CHECK(log.lines().empty());
}

TEST_CASE("a record carries the name of what runs on its thread") {
  const log_to_file log;
  const named outer{"resize"};
  const named inner{"counter"};
  log::info("before");
  {
    const log_context in_outer(outer.source());
    log::info("outer");
    {
      const log_context in_inner(inner.source());
      log::info("inner");
    }
    log::info("outer again");
    std::jthread([] { log::info("other thread"); }).join();
  }
  log::info("after");
  const auto lines = log.lines();
  REQUIRE(lines.size() == 6);
  CHECK_THAT(lines[0], EndsWith("info  before"));
  CHECK_THAT(lines[1], EndsWith("info  [resize] outer"));
  CHECK_THAT(lines[2], EndsWith("info  [counter] inner"));
  CHECK_THAT(lines[3], EndsWith("info  [resize] outer again"));
  CHECK_THAT(lines[4], EndsWith("info  other thread"));
  CHECK_THAT(lines[5], EndsWith("info  after"));
}

TEST_CASE("neither a message nor a name can forge a record or steer a terminal") {
  const log_to_file log;
  const named evil{"a\nb"};
  const log_context context(evil.source());
  log::info("one\n2024-01-01 forged\r\x1b[31m", '\0', "end {} %v");
  CHECK_THAT(log.message(), EndsWith("[a\\nb] one\\n2024-01-01 forged\\r\\x1b[31m\\x00end {} %v"));
}

TEST_CASE("text that is printable UTF-8 stays, all else is escaped") {
  CHECK(escaped("plain \\n ~") == "plain \\n ~");
  CHECK(escaped("\t\x7f") == "\\t\\x7f");
  CHECK(escaped("é€𝄞") == "é€𝄞");
  CHECK(escaped("\xc2\x85") == "\\xc2\\x85");           // next line, a C1 control
  CHECK(escaped("\xc2\x9b") == "\\xc2\\x9b");           // the one-byte escape sequence
  CHECK(escaped("\xe2\x80\xa8") == "\\xe2\\x80\\xa8");  // line separator
  CHECK(escaped("\x9b"
                "31m") == "\\x9b31m");                  // not UTF-8
  CHECK(escaped("\xc0\x8a") == "\\xc0\\x8a");           // overlong line end
  CHECK(escaped("\xe0\x80\x8a") == "\\xe0\\x80\\x8a");  // the same in three bytes
  CHECK(escaped("\xf0\x80\x80\x8a") == "\\xf0\\x80\\x80\\x8a");
  CHECK(escaped("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // surrogate
  CHECK(escaped("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(escaped("\xe2\x82") == "\\xe2\\x82");  // cut off
  CHECK(escaped("\xe2\x82\n") == "\\xe2\\x82\\n");
}

TEST_CASE("a full log file is rotated and only so many are kept") {
  const log_to_file log({.log_file_max_bytes = 1024, .log_files = 3});
  const std::string text(400, 'x');
  for (int i = 0; i < 20; ++i) log::info(i, ' ', text);
  CHECK_THAT(log.lines().back(), contains(" 19 x"));
  CHECK_THAT(log.lines("log.1").back(), contains(" 17 x"));
  CHECK_THAT(log.lines("log.2").back(), contains(" 15 x"));
  CHECK_FALSE(std::filesystem::exists(log.folder() / "log.3"));
  CHECK(std::filesystem::file_size(log.folder() / "log.1") <= 1024);
}

TEST_CASE("with one log file the old records go") {
  const log_to_file log({.log_file_max_bytes = 1024, .log_files = 1});
  for (int i = 0; i < 20; ++i) log::info(i, std::string(400, 'x'));
  CHECK(log.lines().size() == 2);
  CHECK_FALSE(std::filesystem::exists(log.folder() / "log.1"));
}

TEST_CASE("a record larger than a log file is written whole") {
  const log_to_file log({.log_file_max_bytes = 1024, .log_files = 2});
  log::info(std::string(5000, 'x'));
  CHECK_THAT(log.message(), EndsWith(std::string(5000, 'x')));
}

TEST_CASE("a log that cannot be rotated goes on in its file") {
  const log_to_file log({.log_file_max_bytes = 1024, .log_files = 2});
  // A folder with something in it cannot be replaced by a file.
  log.folder().write("log.1/in the way", "");
  const auto before = logging::dropped();
  for (int i = 0; i < 5; ++i) log::info(std::string(400, 'x'));
  CHECK(log.lines().size() == 5);
  CHECK(logging::dropped() == before);
}

TEST_CASE("a log is appended to") {
  const temp_folder folder;
  for (int i = 0; i < 2; ++i) {
    logging::configure({.log_file = folder / "log"});
    log::info("again");
    logging::reset();
  }
  const std::string content = folder.read("log");
  CHECK(std::ranges::count(content, '\n') == 2);
}

TEST_CASE("a log file that cannot be opened is refused and the log stays as it was") {
  const log_to_file log;
  CHECK_THROWS_WITH(logging::configure({.log_file = "/nonexistent/folder/log"}),
                    contains("log-file") && contains("/nonexistent/folder/log") &&
                        contains("No such file") && contains("allowed is"));
  CHECK_THROWS_AS(logging::configure({.log_file = log.folder().path().string()}),
                  std::invalid_argument);
  log::info("still here");
  CHECK_THAT(log.message(), EndsWith("still here"));
}

TEST_CASE("without configuration the log goes to stderr from level info") {
  logging::reset();
  const temp_folder folder;
  {
    const stderr_to file(folder / "stderr");
    log::debug("no");
    log::info("to stderr");
  }
  CHECK_THAT(folder.read("stderr"), EndsWith("info  to stderr\n"));
  CHECK(std::ranges::count(folder.read("stderr"), '\n') == 1);
}

TEST_CASE("records that cannot be written are counted") {
  logging::reset();
  const auto before = logging::dropped();
  {
    const stderr_to full("/dev/full");
    log::info("lost");
    log::info("lost ", 2);
  }
  CHECK(logging::dropped() == before + 2);
}

TEST_CASE("a pipe that nobody reads does not stop the program") {
  logging::reset();
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  const std::string block(4096, 'x');
  while (::write(ends[1], block.data(), block.size()) > 0) {
  }
  const auto before = logging::dropped();
  {
    const stderr_to full("/dev/fd/" + std::to_string(ends[1]));
    ::fcntl(2, F_SETFL, O_NONBLOCK);
    log::info("lost");
  }
  CHECK(logging::dropped() == before + 1);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("many threads log while the log is reconfigured and no record is torn or lost") {
  constexpr int threads = 4;
  constexpr int records = 500;
  const temp_folder folder;
  const auto before = logging::dropped();
  logging::configure({.log_file = folder / "log"});
  {
    std::vector<std::jthread> writers;
    for (int t = 0; t < threads; ++t) {
      writers.emplace_back([t] {
        for (int i = 0; i < records; ++i) log::info("thread ", t, " record ", i, " end");
      });
    }
    for (int i = 0; i < 50; ++i) logging::configure({.log_file = folder / "log"});
  }
  logging::reset();
  std::istringstream content(folder.read("log"));
  int whole = 0;
  for (std::string line; std::getline(content, line);) {
    if (std::regex_search(line, std::regex("info  thread \\d record \\d+ end$"))) ++whole;
  }
  CHECK(whole == threads * records);
  CHECK(logging::dropped() == before);
}
