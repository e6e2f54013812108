/// Renders a progress bar as one line of text.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::core {

/// What a progress bar shows.
struct progress_view {
  std::string_view label{};
  std::string_view unit{};
  std::size_t done = 0;  ///< with those that failed
  std::size_t failed = 0;
  std::size_t total = 0;  ///< 0: not known
  std::chrono::nanoseconds elapsed{0};
};

/// `index  [=====>    ]  512/1000 files  51%  85.3/s  ETA 0:05  2 failed`, in at most `width`
/// columns: the bar takes what the rest leaves, and is left out when that is too little. A label
/// that does not fit is cut between two characters. Pure.
std::string progress_line(const progress_view& view, std::size_t width);

/// `0:05`, `12:34`, `1:02:03`; `--:--` when it cannot be told.
std::string format_eta(const progress_view& view);

}  // namespace troupe::core
