#include <memory>

#include <troupe/task.hpp>

namespace troupe::detail {

namespace {

/// Waits for a tuple and hands its elements out. Owns itself until then.
struct splitter final : continuation {
  object_ptr source;
  std::unique_ptr<object_state*[]> elements;  // each with a pin
  std::size_t count = 0;
  tuple_splitter::fill_function fill = nullptr;

  void run() noexcept {
    object_state& whole = *source;
    for (std::size_t i = 0; i < count; ++i) {
      object_state& element = *elements[i];
      if (whole.has_value()) {
        fill(whole.value(), element, i);
      } else if (element.claim()) {
        whole.note_asked();
        element.fail(whole.why());
      }
      element.unpin();
    }
  }
};

}  // namespace

void tuple_splitter::connect(object_ptr source, object_state* const* elements, std::size_t count,
                             fill_function fill) {
  auto waiting = std::make_unique<splitter>();
  waiting->source = std::move(source);
  waiting->elements = std::make_unique<object_state*[]>(count);
  std::copy_n(elements, count, waiting->elements.get());
  waiting->count = count;
  waiting->fill = fill;
  waiting->fire = [](continuation& self, object_state&) noexcept {
    const std::unique_ptr<splitter> fired(&static_cast<splitter&>(self));
    fired->run();
  };
  if (waiting->source->when_ready(*waiting)) {
    waiting.release();  // it frees itself when it fires
  } else {
    waiting->run();
  }
}

options_ptr continuation_options() {
  static const options_ptr shared = stored_options::make({.num_cpus = 0.0, .name = "then"});
  return shared;
}

}  // namespace troupe::detail
