#include "core/logging.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <spdlog/logger.h>

#include "core/log_context.hpp"
#include "core/logging_sink.hpp"
#include "core/logging_text.hpp"

namespace troupe {
namespace core::logging {
namespace {

std::atomic<std::uint64_t> dropped_records = 0;

std::unique_ptr<spdlog::logger> make_logger(std::shared_ptr<record_sink> sink) {
  // Time with the zone's offset, thread; level and name are part of the message, see compose.
  sink->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %t %v");
  auto logger = std::make_unique<spdlog::logger>("troupe", std::move(sink));
  logger->set_level(spdlog::level::trace);  // log_threshold decided already
  logger->set_error_handler([](const std::string&) { ++dropped_records; });
  return logger;
}

/// The logger that is in use, behind one lock: spdlog's registry is left to the program.
struct active_logger {
  std::mutex mutex;
  std::unique_ptr<spdlog::logger> logger = make_logger(std::make_shared<record_sink>());
};

active_logger& active() {
  // Never destroyed, so that a static object's destructor may log. It buffers nothing.
  static active_logger& instance = *std::make_unique<active_logger>().release();
  return instance;
}

void use(std::unique_ptr<spdlog::logger> logger, log_level level) {
  active_logger& current = active();
  {
    const std::lock_guard lock(current.mutex);
    current.logger.swap(logger);
    troupe::detail::log_threshold.store(level, std::memory_order_relaxed);
  }
}

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
    case log_level::trace:
      return spdlog::level::trace;
    case log_level::debug:
      return spdlog::level::debug;
    case log_level::info:
      return spdlog::level::info;
    case log_level::warn:
      return spdlog::level::warn;
    case log_level::error:
      return spdlog::level::err;
    case log_level::off:
      break;
  }
  return spdlog::level::off;
}

/// `warn  [resize_image] message`: done before the lock is taken, so that a name provider may take
/// what locks it likes.
std::string compose(log_level level, std::string_view message) {
  constexpr std::size_t level_width = 5;
  std::string line(to_string(level));
  line.resize(std::max(level_width, line.size()), ' ');
  line += ' ';
  if (const std::string_view name = log_context::name(); !name.empty()) {
    line += '[';
    append_escaped(line, name);
    line += "] ";
  }
  append_escaped(line, message);
  return line;
}

}  // namespace

void configure(const config& wanted) {
  auto sink = wanted.log_file.empty()
                  ? std::make_shared<record_sink>()
                  : std::make_shared<record_sink>(wanted.log_file, wanted.log_file_max_bytes,
                                                  wanted.log_files);
  use(make_logger(std::move(sink)), wanted.log_level);
}

void reset() noexcept { use(make_logger(std::make_shared<record_sink>()), log_level::info); }

std::uint64_t dropped() noexcept { return dropped_records; }

}  // namespace core::logging

namespace detail {

constinit std::atomic<log_level> log_threshold{log_level::info};

void write_log(log_level level, std::string_view message) noexcept {
  using namespace core::logging;
  try {
    const std::string line = compose(level, message);
    active_logger& current = active();
    const std::lock_guard lock(current.mutex);
    current.logger->log(spdlog::source_loc{}, to_spdlog(level),
                        spdlog::string_view_t(line.data(), line.size()));
  } catch (...) {
    // Out of memory, or spdlog passing on what is no std::exception.
    drop_log();
  }
}

void drop_log() noexcept { ++core::logging::dropped_records; }

}  // namespace detail
}  // namespace troupe
