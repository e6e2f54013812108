/// Generators: a task that gives its results one by one, as refs, while it runs.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <troupe/async.hpp>
#include <troupe/detail/invocation.hpp>
#include <troupe/object_ref.hpp>

namespace troupe {

template <class T>
class generator;

namespace detail {

/// The queue between a generator and its consumer. Thread-safe.
class TROUPE_API stream_state {
 public:
  static std::shared_ptr<stream_state> make();
  virtual ~stream_state() = default;

  // producer
  enum class offer : std::uint8_t { more, full, abandoned };
  /// Appends an item. `full`: the producer shall pause, and is woken when there is room.
  virtual offer push(object_ptr item, invocation& producer) = 0;
  /// No further items; a failure becomes the last one. A paused producer is not woken any more.
  virtual void close(failure_ptr why) noexcept = 0;
  /// Whether the consumer has gone.
  virtual bool abandoned() const noexcept = 0;
  virtual std::size_t produced() const noexcept = 0;
  virtual void set_bound(std::size_t bound) noexcept = 0;

  // consumer
  /// The next item; null at the end of the stream. Blocks; throws at the deadline.
  virtual object_ptr next(const deadline& until) = 0;
  /// An object that is ready when `next` does not block.
  virtual object_ptr signal() = 0;
  virtual bool at_end() const noexcept = 0;
  /// The consumer is gone: the producer stops.
  virtual void abandon() noexcept = 0;
  /// Of an attempt after others, elsewhere: so many items were given already.
  virtual void begin_after(std::size_t given) noexcept = 0;
  /// An item if one is there, without waiting.
  virtual object_ptr try_next() noexcept = 0;
  /// Tells a producer in another process how many items have been read in all, and whether no
  /// further ones are wanted. Called by the consumer, without a lock; must not block.
  using consumption = std::function<void(std::size_t read, bool abandoned)>;
  virtual void on_consumed(consumption f) = 0;
};
using stream_ptr = std::shared_ptr<stream_state>;

/// A generator's results on their way to another process or from one.
class TROUPE_API remote_stream {
 public:
  virtual const stream_ptr& stream() const noexcept = 0;
  virtual object_ptr read_item(input_archive& archive) = 0;
  virtual void write_item(object_state& item, output_archive& archive) const = 0;

 protected:
  ~remote_stream() = default;
};

enum class production : std::uint8_t { paused, abandoned, ended };

[[noreturn]] TROUPE_API void throw_stream_abandoned();
template <class T>
struct generator_promise {
  std::optional<T> current;
  std::exception_ptr thrown;

  generator<T> get_return_object();
  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_always final_suspend() noexcept { return {}; }
  template <class U>
  requires std::constructible_from<T, U> std::suspend_always yield_value(U&& value) {
    current.emplace(std::forward<U>(value));
    return {};
  }
  void return_void() noexcept {}
  void unhandled_exception() noexcept { thrown = std::current_exception(); }
};

}  // namespace detail

/// The result type of a generator: a coroutine that gives values by `co_yield`. `remote` of one
/// returns an `object_stream<T>`. It may `co_await` refs between its results.
template <class T>
class [[nodiscard]] generator {
 public:
  using promise_type = detail::generator_promise<T>;

  generator(generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~generator() {
    if (handle_) handle_.destroy();
  }
  std::coroutine_handle<promise_type> release() noexcept { return std::exchange(handle_, nullptr); }
  explicit generator(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class T>
generator<T> detail::generator_promise<T>::get_return_object() {
  return generator<T>(std::coroutine_handle<generator_promise>::from_promise(*this));
}

namespace detail {

/// Owns a generator's frame and feeds its stream.
template <class T>
class generator_frame {
 public:
  generator_frame() = default;
  generator_frame(const generator_frame&) = delete;
  generator_frame& operator=(const generator_frame&) = delete;
  ~generator_frame() { destroy(); }

  bool started() const noexcept { return static_cast<bool>(handle_); }
  /// `skip` results are dropped: an earlier attempt gave them already.
  void start(generator<T> coroutine, std::size_t skip) noexcept {
    handle_ = coroutine.release();
    skip_ = skip;
  }
  production produce(stream_state& stream, invocation& call) {
    for (;;) {
      if (call.has_resume_point()) {  // it awaited a ref
        std::coroutine_handle<>::from_address(call.take_resume_point()).resume();
      } else if (call.stop_requested() || stream.abandoned()) {
        return production::abandoned;
      } else {
        handle_.resume();
      }
      auto& promise = handle_.promise();
      if (handle_.done()) {
        if (promise.thrown) std::rethrow_exception(promise.thrown);
        return production::ended;
      }
      if (!promise.current) return production::paused;  // it awaits a ref
      T value = std::move(*promise.current);
      promise.current.reset();
      if (skip_ > 0) {
        --skip_;
        continue;
      }
      switch (stream.push(value_object<T>::make(std::move(value)), call)) {
        case stream_state::offer::more:
          break;
        case stream_state::offer::full:
          return production::paused;
        case stream_state::offer::abandoned:
          return production::abandoned;
      }
    }
  }
  void destroy() noexcept {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }

 private:
  std::coroutine_handle<generator_promise<T>> handle_;
  std::size_t skip_ = 0;
};

}  // namespace detail

/// The results of a generator, as refs, in their order, from the moment each exists.
///
/// `for (object_ref<T> ref : stream)` blocks for the next one; dropping the stream stops the
/// generator at its next `co_yield`. An exception of the generator is the last ref of the stream:
/// `get` on it throws. Move-only; used by one thread at a time.
template <class T>
class object_stream {
 public:
  object_stream(detail::stream_ptr stream, detail::object_ptr call)
      : stream_(std::move(stream)), call_(std::move(call)) {}
  object_stream(object_stream&&) noexcept = default;
  object_stream& operator=(object_stream&& other) noexcept {
    if (this != &other) {
      close();
      stream_ = std::move(other.stream_);
      call_ = std::move(other.call_);
    }
    return *this;
  }
  ~object_stream() { close(); }

  /// The next result, or nothing at the end. Throws `get_timeout_error` when the timeout passes.
  std::optional<object_ref<T>> next(std::optional<std::chrono::nanoseconds> timeout = {}) {
    detail::object_ptr item = stream_->next(detail::deadline_after(timeout));
    if (!item) return std::nullopt;
    return object_ref<T>(std::move(item));
  }
  /// A ref that is ready when `next` does not block; usable with `wait` and `co_await`.
  object_ref<void> available() const { return object_ref<void>(stream_->signal()); }
  /// A ref to the end of the generator: ready when it has given all, or failed.
  object_ref<void> completed() const { return object_ref<void>(call_); }
  /// Asks the generator to stop, as `troupe::cancel`.
  bool cancel(const cancel_options& options = {}) {
    return call_->cancel(options.force, options.recursive);
  }

  struct sentinel {};
  class iterator {
   public:
    using value_type = object_ref<T>;
    using difference_type = std::ptrdiff_t;
    explicit iterator(object_stream* stream) : stream_(stream), current_(stream->next()) {}
    const object_ref<T>& operator*() const { return *current_; }
    iterator& operator++() {
      current_ = stream_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, sentinel) { return !at.current_; }

   private:
    object_stream* stream_;
    std::optional<object_ref<T>> current_;
  };
  iterator begin() { return iterator(this); }
  sentinel end() { return {}; }

 private:
  void close() noexcept {
    if (stream_) stream_->abandon();
    stream_.reset();
    call_ = {};
  }
  detail::stream_ptr stream_;
  detail::object_ptr call_;
};

}  // namespace troupe
