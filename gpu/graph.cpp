#include <troupe/gpu/graph.hpp>

#include <troupe/gpu/error.hpp>

#include "gpu/engine.hpp"

namespace troupe::gpu::detail {

class recorded_graph {
 public:
  recorded_graph(engine& in, graph_handle what, captured uses)
      : of(in), handle(what), used(std::move(uses)) {}
  ~recorded_graph() { of.under().free_graph(handle); }
  recorded_graph(const recorded_graph&) = delete;
  recorded_graph& operator=(const recorded_graph&) = delete;

  engine& of;
  const graph_handle handle;
  const captured used;
};

graph_ptr record(const std::function<void(const stream&)>& f) {
  engine& here = engine::process();
  captured into;
  into.device = here.current_device();
  lane& on = here.lane_on(into.device);
  graph_handle made = nullptr;
  here.in_order(on, [&] {
    here.under().begin_capture(on.stream);
    try {
      f(stream(on, &into));
    } catch (...) {
      if (graph_handle const partial = here.under().end_capture(on.stream)) {
        here.under().free_graph(partial);
      }
      throw;
    }
    made = here.under().end_capture(on.stream);
  });
  if (made == nullptr) {
    throw device_error(
        "what a gpu::graph was to record cannot be recorded: only work on its own stream can, no "
        "new array and no wait for the device",
        0, false);
  }
  return std::make_shared<recorded_graph>(here, made, std::move(into));
}

void launch(const graph_ptr& what, const stream& on) {
  for (const auto& [memory, write] : what->used.uses) on.use(memory, write);
  what->of.under().launch_graph(what->handle, on.native());
}

}  // namespace troupe::gpu::detail
