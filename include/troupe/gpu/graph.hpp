/// A chain of device work that is launched again and again as one.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <troupe/gpu/stream.hpp>
#include <troupe/gpu/work.hpp>
#include <troupe/object_ref.hpp>

namespace troupe::gpu {

namespace detail {

class recorded_graph;
using graph_ptr = std::shared_ptr<const recorded_graph>;

/// Calls `f` with a stream that records. Throws what `f` throws, `device_error`.
TROUPE_API graph_ptr record(const std::function<void(const stream&)>& f);
TROUPE_API void launch(const graph_ptr& what, const stream& on);

}  // namespace detail

/// What `f(stream)` enqueues, recorded once (a CUDA graph) and launched as often as wanted, for
/// less than its parts cost one by one. The arrays that `f` uses through `read`, `write` and
/// `enqueue` are kept, and ordered at each launch. Inside `f` neither arrays can be made nor work
/// be started otherwise. A handle: copies share the graph. Thread-safe.
class graph {
 public:
  template <class F>
  explicit graph(F&& f)
      : recorded_(detail::record([&f](const stream& on) { std::forward<F>(f)(on); })) {}

  /// Ready when the device has done it.
  object_ref<void> launch() const {
    return run_named("gpu::graph",
                     [what = recorded_](const stream& on) { detail::launch(what, on); });
  }
  /// As a part of what another function enqueues.
  void enqueue(const stream& on) const { detail::launch(recorded_, on); }

 private:
  detail::graph_ptr recorded_;
};

}  // namespace troupe::gpu
