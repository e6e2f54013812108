/// A progress bar over refs or a stream: how many, how fast, how long still, how many failed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/detail/export.hpp>
#include <troupe/generator.hpp>
#include <troupe/object_ref.hpp>

namespace troupe {

struct progress_options {
  /// Shown before the bar.
  std::string_view label{};
  /// How many there will be; 0: not known, then no bar and no ETA are shown.
  std::size_t total = 0;
  /// What is counted: `files`.
  std::string_view unit{};
  /// Draw also when stderr is no terminal.
  bool force = false;
};

/// Draws one line on stderr, at most ten times a second, from the thread that advances it; silent
/// when stderr is no terminal, or TERM is `dumb`. Ends its line when it goes. Used by one thread.
class TROUPE_API progress {
 public:
  explicit progress(const progress_options& options = {});
  ~progress();
  progress(progress&&) noexcept;
  progress& operator=(progress&&) noexcept;

  /// `count` more are done.
  void advance(std::size_t count = 1);
  /// `count` more are done, and failed.
  void fail(std::size_t count = 1);
  /// Corrects the total when it becomes known.
  void set_total(std::size_t total);
  /// Draws the last state and ends the line. Once only.
  void finish();

  std::size_t done() const noexcept;
  std::size_t failed() const noexcept;

  /// Counts one ref that is ready, as done or as failed.
  template <class T>
  void count(const object_ref<T>& ref) {
    ref.failed() ? fail() : advance();
  }

  /// Waits for the refs as they complete, counts them, and calls `f(ref)` for each.
  template <class T, class F>
  void each(std::vector<object_ref<T>> refs, F f) {
    if (done() == 0) set_total(refs.size());
    for (const object_ref<T>& ref : as_completed(std::move(refs))) {
      count(ref);
      f(ref);
    }
    finish();
  }
  /// Waits for all refs and gives them back in their order.
  template <class T>
  std::vector<object_ref<T>> track(std::vector<object_ref<T>> refs) {
    each(refs, [](const object_ref<T>&) {});
    return refs;
  }
  /// Takes every result of a stream, counts it, and calls `f(ref)`.
  template <class T, class F>
  void each(object_stream<T>& stream, F f) {
    for (const object_ref<T>& ref : stream) {
      wait({any_ref(ref)});
      count(ref);
      f(ref);
    }
    finish();
  }

 private:
  struct state;
  void draw(bool last);
  std::unique_ptr<state> state_;
};

}  // namespace troupe
