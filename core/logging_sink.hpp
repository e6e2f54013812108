/// Appends log records to a file or to stderr, one write(2) each, and rotates the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>

namespace troupe::core::logging {

/// A spdlog sink. spdlog's own rotating file is buffered (what a crash was about is lost), is
/// inherited by child processes, and empties the log when a rename fails. Not thread-safe: its user
/// locks. Throws `spdlog::spdlog_ex` from writing; spdlog hands that to its error handler.
class record_sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  /// Writes to stderr.
  record_sink() = default;
  /// Appends to `path`. At most `files` files of at most `max_bytes` are kept: `path` and `path.1`,
  /// `path.2`, from young to old. Throws `std::invalid_argument` when it cannot be opened.
  record_sink(std::string path, std::uint64_t max_bytes, std::size_t files);
  ~record_sink() override;
  record_sink(const record_sink&) = delete;
  record_sink& operator=(const record_sink&) = delete;

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

  void rotate();
  void open_file();
  void write_all(const char* data, std::size_t size);
  std::string numbered(std::size_t number) const;

  std::string path_;
  std::uint64_t max_bytes_ = 0;
  std::size_t files_ = 0;
  std::uint64_t bytes_ = 0;  ///< in the file that is written
  int fd_ = 2;
};

}  // namespace troupe::core::logging
