/// Where log records go: stderr or rotating files, by configuration.
#pragma once

#include <cstdint>

#include <troupe/config.hpp>
#include <troupe/log.hpp>

/// Thread-safe. Before `configure` and after `reset`: stderr, level info.
namespace troupe::core::logging {

/// Sends the records that follow where `config` says. Throws `std::invalid_argument` when the log
/// file cannot be opened; then all stays as it was.
void configure(const config& wanted);

/// Back to stderr and level info; the log file is closed.
void reset() noexcept;

/// Records that could not be written since the process began.
std::uint64_t dropped() noexcept;

}  // namespace troupe::core::logging
