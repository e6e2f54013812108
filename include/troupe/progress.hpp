/// A progress bar over refs or a stream: how many, how fast, how long still, how many failed.
#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/detail/export.hpp>
#include <troupe/generator.hpp>
#include <troupe/object_ref.hpp>

namespace troupe {

class progress;

namespace detail {

template <class T>
class tracked_refs;
template <class T>
class tracked_stream;
template <class Range>
class tracked_range;

}  // namespace detail

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
/// when stderr is no terminal, or TERM is `dumb`. It uses no colours, so NO_COLOR changes nothing.
/// Ends its line when it goes. Used by one thread.
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

  /// Draws again if it is time to, so that rate and ETA stay true while nothing completes.
  void refresh() { draw(false); }

  /// Counts one ref that is ready, as done or as failed.
  template <class T>
  void count(const object_ref<T>& ref) {
    ref.failed() ? fail() : advance();
  }

  /// The refs as they complete, counted when the loop comes back for the next one:
  /// `for (const auto& ref : bar.track(refs))`. Ends the line after the last one.
  template <class T>
  detail::tracked_refs<T> track(std::vector<object_ref<T>> refs);
  /// Every result of a stream, ready, as it comes.
  template <class T>
  detail::tracked_stream<T> track(object_stream<T>& stream);
  /// The elements of any other range, such as the results of a pool's `map`. One that throws when
  /// it is read counts as failed.
  template <class Range>
  detail::tracked_range<Range> track(Range&& range);

  /// Waits for the refs as they complete, counts them, and calls `f(ref)` for each.
  template <class T, class F>
  void each(std::vector<object_ref<T>> refs, F f);
  /// Takes every result of a stream, counts it, and calls `f(ref)`.
  template <class T, class F>
  void each(object_stream<T>& stream, F f);

 private:
  template <class T>
  friend class detail::tracked_refs;
  template <class T>
  friend class detail::tracked_stream;
  /// How long a wait may take before the line is drawn again. None: nothing is drawn.
  std::optional<std::chrono::nanoseconds> patience() const noexcept;

  struct state;
  void draw(bool last);
  std::unique_ptr<state> state_;
};

namespace detail {

struct tracked_end {};

template <class T>
class tracked_refs {
 public:
  tracked_refs(progress& bar, std::vector<object_ref<T>> refs)
      : bar_(&bar), set_(std::move(refs)) {}

  class iterator {
   public:
    using value_type = object_ref<T>;
    using difference_type = std::ptrdiff_t;
    explicit iterator(tracked_refs* refs) : refs_(refs) {}
    const object_ref<T>& operator*() const { return refs_->current_; }
    iterator& operator++() {
      refs_->bar_->count(refs_->current_);
      refs_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, tracked_end) { return at.refs_->at_end(); }

   private:
    tracked_refs* refs_;
  };
  iterator begin() {
    advance();
    return iterator(this);
  }
  tracked_end end() const { return {}; }
  bool at_end() const noexcept { return !current_; }

 private:
  void advance() {
    current_ = {};
    while (!set_.empty()) {
      auto ready = set_.take({.timeout = bar_->patience()});
      if (!ready.empty()) {
        current_ = std::move(ready.front());
        return;
      }
      bar_->refresh();
    }
    bar_->finish();
  }

  progress* bar_;
  ref_set<object_ref<T>> set_;
  object_ref<T> current_;
};

template <class T>
class tracked_stream {
 public:
  tracked_stream(progress& bar, object_stream<T>& stream) : bar_(&bar), stream_(&stream) {}

  class iterator {
   public:
    using value_type = object_ref<T>;
    using difference_type = std::ptrdiff_t;
    explicit iterator(tracked_stream* stream) : stream_(stream) {}
    const object_ref<T>& operator*() const { return *stream_->current_; }
    iterator& operator++() {
      stream_->bar_->count(*stream_->current_);
      stream_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, tracked_end) { return at.stream_->at_end(); }

   private:
    tracked_stream* stream_;
  };
  iterator begin() {
    advance();
    return iterator(this);
  }
  tracked_end end() const { return {}; }
  bool at_end() const noexcept { return !current_; }

 private:
  void wait_for(const any_ref& ref) {
    while (wait({ref}, {.timeout = bar_->patience()}).ready.empty()) bar_->refresh();
  }
  void advance() {
    wait_for(stream_->available());
    current_ = stream_->next();
    if (current_) {
      wait_for(*current_);
    } else {
      bar_->finish();
    }
  }

  progress* bar_;
  object_stream<T>* stream_;
  std::optional<object_ref<T>> current_;
};

template <class Range>
class tracked_range {
 public:
  tracked_range(progress& bar, Range&& range) : bar_(&bar), range_(std::forward<Range>(range)) {}

  template <class Iterator, class End>
  class iterator {
   public:
    using difference_type = std::ptrdiff_t;
    iterator(progress* bar, Iterator at, End end)
        : bar_(bar), at_(std::move(at)), end_(std::move(end)) {
      finish_at_end();
    }
    decltype(auto) operator*() {
      try {
        return *at_;
      } catch (...) {
        if (!std::exchange(failed_, true)) bar_->fail();
        throw;
      }
    }
    iterator& operator++() {
      if (!std::exchange(failed_, false)) bar_->advance();
      ++at_;
      finish_at_end();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, tracked_end) { return at.at_ == at.end_; }

   private:
    void finish_at_end() {
      if (at_ == end_) bar_->finish();
    }
    progress* bar_;
    Iterator at_;
    End end_;
    bool failed_ = false;
  };
  auto begin() {
    return iterator<decltype(std::begin(range_)), decltype(std::end(range_))>(
        bar_, std::begin(range_), std::end(range_));
  }
  tracked_end end() const { return {}; }

 private:
  progress* bar_;
  Range range_;  // a reference when the range is the caller's
};

}  // namespace detail

template <class T>
detail::tracked_refs<T> progress::track(std::vector<object_ref<T>> refs) {
  if (done() == 0) set_total(refs.size());
  return detail::tracked_refs<T>(*this, std::move(refs));
}
template <class T>
detail::tracked_stream<T> progress::track(object_stream<T>& stream) {
  return detail::tracked_stream<T>(*this, stream);
}
template <class Range>
detail::tracked_range<Range> progress::track(Range&& range) {
  return detail::tracked_range<Range>(*this, std::forward<Range>(range));
}
template <class T, class F>
void progress::each(std::vector<object_ref<T>> refs, F f) {
  for (const object_ref<T>& ref : track(std::move(refs))) f(ref);
}
template <class T, class F>
void progress::each(object_stream<T>& stream, F f) {
  for (const object_ref<T>& ref : track(stream)) f(ref);
}

}  // namespace troupe
