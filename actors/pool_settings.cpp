// What pools are told and what they tell: options, batches on their way, errors.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include <troupe/detail/pool_core.hpp>
#include <troupe/error.hpp>

#include "actors/pool_failures.hpp"
#include "core/runtime.hpp"

namespace troupe::detail {

using actors::fail_object;
using actors::failure_of;
using actors::longest_batch_wait;

interruption interruption_of(const object_state& result) {
  if (!result.has_failed() || result.why()->info != nullptr) return interruption::none;
  try {
    std::rethrow_exception(result.why()->thrown);
  } catch (const actor_died_error&) {
    return interruption::died;
  } catch (const actor_unavailable_error&) {
    return interruption::restarts;
  } catch (...) {
    return interruption::none;
  }
}

pool_settings settings_of(const pool_options& options, std::string_view kind,
                          std::string_view class_name) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument(std::string(kind) + " of " + std::string(class_name) + ": " + what);
  };
  if (!options.actor.name.empty() && options.size != 1) {
    refuse("actor.name is '" + std::string(options.actor.name) +
           "', but only a pool of one member can give its member a name");
  }
  if (kind == "actor_pool" &&
      (!options.name.empty() || options.get_if_exists || options.lifetime != lifetime::scoped)) {
    refuse("it has no name and lifetime of its own; use a shared_pool");
  }
  pool_settings settings{.max_in_flight = options.max_in_flight,
                         .max_pending = options.max_pending,
                         .max_attempts = options.max_attempts,
                         .max_replacements = options.max_replacements,
                         .name = "pool of " + std::string(class_name)};
  if (settings.max_in_flight == 0) {
    // While one batch runs, the next one gathers.
    const auto gathering = std::size_t{2} * options.actor.max_batch_size;
    settings.max_in_flight =
        std::max(gathering, static_cast<std::size_t>(std::max(1, options.actor.max_concurrency)));
  }
  return settings;
}

std::size_t size_of(const pool_options& options) {
  if (options.size != 0) return options.size;
  const double cpus =
      core::require_runtime("actor_pool").the_ledger->total().get(core::cpu_name).to_double();
  return std::max<std::size_t>(1, static_cast<std::size_t>(cpus));
}

void check_batch_options(const batch_options& options) {
  if (options.max_batch_size == 0) {
    throw std::invalid_argument("batched: max_batch_size is 0; a batch holds at least one input");
  }
  if (options.max_wait < std::chrono::nanoseconds(0) || options.max_wait > longest_batch_wait) {
    throw std::invalid_argument("batched: max_wait must be between 0 and 24 hours");
  }
}

// -- pool_batch -----------------------------------------------------------------------------------

pool_batch::~pool_batch() {
  if (!pool_) return;
  fail(failure_of<task_cancelled_error>("the call of a batch was dropped: the runtime ends"));
}

void pool_batch::finish() noexcept { std::exchange(pool_, nullptr)->batch_finished(id_, ids_); }

void pool_batch::fail(const failure_ptr& why) noexcept {
  for (const object_ptr& item : items_) fail_object(*item, why);
  finish();
}

bool pool_batch::interrupted(const object_state& result, bool resend) noexcept {
  const interruption how = interruption_of(result);
  if (how == interruption::none) return false;
  std::exchange(pool_, nullptr)->batch_interrupted(id_, how, result.why(), resend);
  return true;
}

}  // namespace troupe::detail
