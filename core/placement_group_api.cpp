#include <stdexcept>
#include <utility>

#include <troupe/detail/waiting.hpp>
#include <troupe/error.hpp>
#include <troupe/placement_group.hpp>

#include "core/execution.hpp"
#include "core/placement_groups.hpp"

namespace troupe {

struct placement_group::handle {
  placement_group_id id;
  std::size_t bundles = 0;
  std::uint64_t runtime_epoch = 0;  ///< of what removes it at the end; 0: nobody does

  ~handle() {
    core::runtime* const running = core::find_runtime();
    if (runtime_epoch == 0 || running == nullptr || running->epoch != runtime_epoch) return;
    running->groups->remove(id);
  }
};

namespace {

core::resource_set amounts_of(const bundle& one, std::size_t index) {
  core::resource_set amounts = core::make_demand(one.num_cpus, 0.0, one.num_gpus, one.memory,
                                                 {one.resources.begin(), one.resources.size()});
  if (amounts.empty()) {
    throw std::invalid_argument("placement_group: bundle " + std::to_string(index) +
                                " asks for nothing");
  }
  return amounts;
}

}  // namespace

placement_group::placement_group(const placement_group_options& wanted) {
  core::runtime& runtime = core::require_runtime("placement_group");
  if (wanted.bundles.size() == 0) {
    throw std::invalid_argument("placement_group: it has no bundles");
  }
  core::group_spec spec;
  spec.name = wanted.name;
  spec.in_namespace = wanted.in_namespace.empty() ? runtime.settings.job_namespace
                                                  : std::string(wanted.in_namespace);
  spec.strategy = wanted.strategy;
  spec.detached = wanted.lifetime == lifetime::detached;
  if (spec.detached && spec.name.empty()) {
    throw std::invalid_argument(
        "placement_group: a detached one needs a name, or nobody could find it again");
  }
  for (const bundle& one : wanted.bundles) {
    spec.bundles.push_back(amounts_of(one, spec.bundles.size()));
  }
  auto made = std::make_shared<handle>();
  made->bundles = spec.bundles.size();
  const bool detached = spec.detached;
  made->id = runtime.groups->create(std::move(spec));
  if (!detached) made->runtime_epoch = runtime.epoch;
  handle_ = std::move(made);
}

placement_group placement_group::named(placement_group_id id, std::size_t bundles) {
  placement_group group;
  if (!id) return group;
  group.handle_ = std::make_shared<handle>();
  group.handle_->id = id;
  group.handle_->bundles = bundles;
  return group;
}

object_ref<void> placement_group::ready() const {
  if (!*this) throw std::invalid_argument("placement_group::ready: it names no group");
  return object_ref<void>(core::require_groups("placement_group::ready").ready(id()));
}

bool placement_group::wait(std::chrono::nanoseconds timeout) const {
  const object_ref<void> placed = ready();
  try {
    detail::wait_until_ready(placed.state(), detail::deadline_after(timeout));
  } catch (const get_timeout_error&) {
    return false;
  }
  placed.state().note_asked();
  if (placed.state().has_failed()) detail::throw_failure(placed.state());
  return true;
}

void placement_group::remove() const {
  if (*this) core::require_groups("placement_group::remove").remove(id());
}

placement_group_id placement_group::id() const noexcept {
  return handle_ ? handle_->id : placement_group_id{};
}

std::size_t placement_group::size() const noexcept { return handle_ ? handle_->bundles : 0; }

placement_group get_placement_group(std::string_view name, std::string_view in_namespace) {
  core::runtime& runtime = core::require_runtime("get_placement_group");
  const std::string in =
      in_namespace.empty() ? runtime.settings.job_namespace : std::string(in_namespace);
  const auto found = runtime.groups->find(name, in);
  if (!found.id) {
    throw placement_error("there is no placement group '" + std::string(name) + "'" +
                          (in.empty() ? "" : " in namespace '" + in + "'"));
  }
  return placement_group::named(found.id, found.bundles);
}

placement_group current_placement_group() {
  const core::execution* const now = core::current_execution;
  if (now == nullptr || now->given == nullptr) return {};
  return placement_group::named(now->given->placement_group, 0);
}

std::vector<placement_group_info> list_placement_groups() {
  return core::require_groups("list_placement_groups").list();
}

namespace core {

placement_groups& require_groups(const char* what) { return *require_runtime(what).groups; }

detail::options_ptr captured(detail::options_ptr given) {
  const execution* const now = current_execution;
  if (now == nullptr || now->given == nullptr || !now->given->capture_children) return given;
  if (given && given->get().placement_group != placement_group_id{}) return given;
  options merged = given ? given->get() : options{};
  merged.placement_group = now->given->placement_group;
  merged.capture_children = true;
  return detail::stored_options::make(merged);
}

std::map<std::string, double> to_map(const resource_set& amounts) {
  std::map<std::string, double> result;
  for (const auto& [name, amount] : amounts) result.emplace(name, amount.to_double());
  return result;
}

}  // namespace core

}  // namespace troupe
