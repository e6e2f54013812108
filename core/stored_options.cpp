#include <troupe/detail/stored_options.hpp>
#include <troupe/runtime_env.hpp>

#include <cmath>
#include <stdexcept>

#include "core/resources.hpp"
#include "core/retry_state.hpp"

namespace troupe::detail {

namespace {

[[noreturn]] void refuse(std::string_view option, const std::string& why) {
  throw std::invalid_argument("option " + std::string(option) + ": " + why);
}

void check_count(std::string_view option, int value) {
  if (value < -1) refuse(option, std::to_string(value) + " is negative (-1 means without end)");
}

void check_text(std::string_view option, std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ') refuse(option, "a name has no control characters");
  }
}

void check_values(const options& o) {
  core::make_demand(o.num_cpus, 0, o.num_gpus, o.memory, {o.resources.begin(), o.resources.size()});
  if (o.max_retries) check_count("max_retries", *o.max_retries);
  check_count("max_restarts", o.max_restarts);
  check_count("max_task_retries", o.max_task_retries);
  core::retry_policy{.max_retries = o.max_retries.value_or(0),
                     .delay = o.retry_delay,
                     .max_delay = o.retry_max_delay,
                     .jitter = o.retry_jitter}
      .validate();
  if (o.timeout.count() < 0) refuse("timeout", "it is negative; 0 means none");
  if (o.max_concurrency < 0) refuse("max_concurrency", "it is negative; 0 means the default");
  if (o.max_wait.count() < 0 || o.max_wait > std::chrono::hours(24)) {
    refuse("max_wait", "it must be between 0 and 24 hours");
  }
  if (o.max_wait.count() > 0 && o.max_batch_size == 1) {
    refuse("max_wait", "there is nothing to wait for with a max_batch_size of 1");
  }
  for (const concurrency_group& group : o.groups) {
    if (group.name.empty()) refuse("groups", "a concurrency group needs a name");
    if (group.limit < 1) {
      refuse("groups", "the limit of group '" + std::string(group.name) + "' must be at least 1");
    }
  }
  check_text("name", o.name);
  check_text("in_namespace", o.in_namespace);
  if (o.bundle_index < -1) refuse("bundle_index", "it is below -1 (any bundle)");
  if (o.bundle_index != -1 && !o.placement_group) {
    refuse("bundle_index", "it needs a placement_group");
  }
  if (o.capture_children && !o.placement_group) {
    refuse("capture_children", "it needs a placement_group");
  }
}

[[noreturn]] void misplaced(std::string_view option, std::string_view kind, std::string_view of) {
  throw std::invalid_argument("option " + std::string(option) + " is not one of " +
                              std::string(kind) + ": it is one of " + std::string(of));
}

}  // namespace

std::shared_ptr<const stored_options> stored_options::make(const options& from) {
  check_values(from);
  return std::make_shared<const stored_options>(from);
}

stored_options::stored_options(const options& from) : value_(from) {
  value_.name = keep(from.name);
  value_.in_namespace = keep(from.in_namespace);
  value_.concurrency_group = keep(from.concurrency_group);
  std::vector<resource> resources;
  for (const resource& r : from.resources) resources.push_back({keep(r.name), r.amount});
  value_.resources = resource_list(resources.data(), resources.size());
  std::vector<concurrency_group> groups;
  for (const concurrency_group& g : from.groups) groups.push_back({keep(g.name), g.limit});
  value_.groups = concurrency_groups(groups.data(), groups.size());
  if (from.runtime_env != nullptr && !from.runtime_env->empty()) {
    environment_ = std::make_shared<const runtime_env>(*from.runtime_env);
  }
  value_.runtime_env = environment_.get();
  const scheduling& s = from.scheduling;
  const std::string_view key = keep(s.key());
  const std::string_view value = keep(s.value());
  switch (s.what()) {
    case scheduling::kind::hybrid:
      value_.scheduling = scheduling::hybrid();
      break;
    case scheduling::kind::spread:
      value_.scheduling = scheduling::spread();
      break;
    case scheduling::kind::node_affinity:
      value_.scheduling = scheduling::node_affinity(key, s.soft());
      break;
    case scheduling::kind::node_label:
      value_.scheduling = scheduling::node_label(key, value);
      break;
  }
}

std::string_view stored_options::keep(std::string_view text) {
  if (text.empty()) return {};
  return *texts_.emplace_back(std::make_unique<std::string>(text));
}

void check_options_of_task(const options& o) {
  if (o.lifetime != lifetime::scoped) misplaced("lifetime", "a task", "an actor");
  if (o.get_if_exists) misplaced("get_if_exists", "a task", "an actor");
  if (!o.in_namespace.empty()) misplaced("in_namespace", "a task", "an actor");
  if (o.max_restarts != 0) misplaced("max_restarts", "a task (use max_retries)", "an actor");
  if (o.max_task_retries != 0)
    misplaced("max_task_retries", "a task (use max_retries)", "an actor");
  if (o.max_concurrency != 0) misplaced("max_concurrency", "a task", "an actor");
  if (o.groups.size() != 0) misplaced("groups", "a task", "an actor");
  if (!o.concurrency_group.empty()) misplaced("concurrency_group", "a task", "a call");
  if (o.max_pending_calls != 0) misplaced("max_pending_calls", "a task", "an actor");
  if (o.max_batch_size != 0) misplaced("max_batch_size", "a task", "an actor");
  if (o.max_wait.count() != 0) misplaced("max_wait", "a task", "an actor");
}

void check_options_of_actor(const options& o) {
  if (o.max_retries) misplaced("max_retries", "an actor (use max_restarts)", "a task");
  if (o.retry_exceptions) misplaced("retry_exceptions", "an actor", "a task or a call");
  if (o.timeout.count() != 0) misplaced("timeout", "an actor", "a task or a call");
  if (!o.concurrency_group.empty())
    misplaced("concurrency_group", "an actor (use groups)", "a call");
  if (o.backpressure != 0) misplaced("backpressure", "an actor", "a task or a call");
  if (o.lifetime == lifetime::detached && o.name.empty()) {
    refuse("lifetime", "a detached actor needs a name, or nobody could ever reach it again");
  }
  if (o.get_if_exists && o.name.empty()) refuse("get_if_exists", "it needs a name");
}

void check_options_of_call(const options& o) {
  constexpr std::string_view kind = "a call (its actor holds the resources)";
  if (o.num_cpus) misplaced("num_cpus", kind, "a task or an actor");
  if (o.num_gpus != 0) misplaced("num_gpus", kind, "a task or an actor");
  if (o.memory != 0) misplaced("memory", kind, "a task or an actor");
  if (!o.resources.empty()) misplaced("resources", kind, "a task or an actor");
  if (o.max_retries) misplaced("max_retries", "a call (use max_task_retries)", "a task");
  if (o.lifetime != lifetime::scoped) misplaced("lifetime", "a call", "an actor");
  if (o.get_if_exists) misplaced("get_if_exists", "a call", "an actor");
  if (o.max_restarts != 0) misplaced("max_restarts", "a call", "an actor");
  if (o.max_concurrency != 0) misplaced("max_concurrency", "a call", "an actor");
  if (o.groups.size() != 0) misplaced("groups", "a call (use concurrency_group)", "an actor");
  if (o.max_pending_calls != 0) misplaced("max_pending_calls", "a call", "an actor");
  if (o.max_batch_size != 0) misplaced("max_batch_size", "a call", "an actor");
  if (o.max_wait.count() != 0) misplaced("max_wait", "a call", "an actor");
  if (o.scheduling.what() != scheduling::kind::hybrid)
    misplaced("scheduling", "a call", "an actor");
  if (o.isolation != isolation::shared) misplaced("isolation", "a call", "an actor");
  if (o.infeasible != infeasible::wait) misplaced("infeasible", "a call", "an actor");
  if (o.placement_group != placement_group_id{}) {
    misplaced("placement_group", "a call", "an actor");
  }
  if (o.runtime_env != nullptr) misplaced("runtime_env", "a call", "an actor");
}

}  // namespace troupe::detail
