#include "core/stage/stage.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/logger.hpp>

#include "core/stage/scheduler.hpp"

namespace troupe::core {

struct stage::systems {
  struct configuration : caf::actor_system_config {
    explicit configuration(const stage_options& options) {
      module_factories.push_back([options](caf::actor_system& host) -> caf::actor_system::module* {
        return new stage_scheduler(host, options);
      });
      // CAF's own logger and its configuration files are not ours to read.
      set("logger.verbosity", caf::atom("quiet"));
    }
  };
  explicit systems(const stage_options& options) : config(options), system(config) {
    // Actors that a user forgot must not hold up the end; troupe drains its own.
    system.await_actors_before_shutdown(false);
  }
  configuration config;
  caf::actor_system system;
};

stage::stage(const stage_options& options)
    : options_(options),
      systems_(std::make_unique<systems>(options)),
      scheduler_(static_cast<stage_scheduler*>(&systems_->system.scheduler())) {
  // CAF's constructor leaves a reference to its logger with this thread, and its destructor waits
  // until all are gone: shutdown on another thread than init would never end.
  caf::logger::set_current_actor_system(nullptr);
}

stage::~stage() { stop(); }

void stage::enqueue(job* what) noexcept {
  if (stage_scheduler* const running = scheduler_.load(std::memory_order_relaxed)) {
    running->enqueue(what);
  } else {
    intrusive_ptr_release(what);
  }
}

bool stage::leave() noexcept { return stage_thread::current->scheduler.leave(); }
void stage::rejoin() noexcept { stage_thread::current->scheduler.rejoin(); }

bool stage::should_yield() const noexcept {
  return scheduler_.load(std::memory_order_relaxed)->should_yield();
}

void stage::tick() noexcept {
  slot* const own = stage_thread::current->own.load(std::memory_order_relaxed);
  own->ticks.store(own->ticks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

bool stage::on_stage_thread() noexcept { return stage_thread::current != nullptr; }

std::size_t stage::stack_left() noexcept {
  const stage_thread* const self = stage_thread::current;
  if (self == nullptr) return 0;
  const char here = 0;
  return static_cast<std::size_t>(&here - self->stack_limit);
}

void stage::read_when_idle() noexcept {
  if (stage_scheduler* const running = scheduler_.load()) running->read_when_idle();
}

stage_stats stage::stats() const noexcept {
  const stage_scheduler* const running = scheduler_.load(std::memory_order_relaxed);
  return running != nullptr ? running->stats() : stage_stats{};
}

std::size_t stage::slots() const noexcept { return options_.slots; }

void stage::stop() noexcept {
  stage_scheduler* const running = scheduler_.load();
  if (running == nullptr) return;
  running->stop_threads();
  scheduler_.store(nullptr);
  systems_.reset();
}

caf::actor_system& stage::system() noexcept { return systems_->system; }

}  // namespace troupe::core
