#include <troupe/detail/archived_options.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <troupe/archive.hpp>

namespace troupe::detail {

namespace {

/// What an actor can be given, with strings of its own. Timeouts and retries are a call's.
struct form {
  std::optional<double> num_cpus;
  double num_gpus = 0;
  std::uint64_t memory = 0;
  std::vector<std::pair<std::string, double>> resources;
  std::string name;
  std::string in_namespace;
  troupe::lifetime lifetime = lifetime::scoped;
  bool get_if_exists = false;
  int max_restarts = 0;
  int max_task_retries = 0;
  int max_concurrency = 0;
  std::vector<std::pair<std::string, int>> groups;
  std::uint32_t max_pending_calls = 0;
  std::uint32_t max_batch_size = 0;
  std::chrono::nanoseconds max_wait{0};
  scheduling::kind placement = scheduling::kind::hybrid;
  std::string place_key;
  std::string place_value;
  bool soft = false;
  troupe::isolation isolation = isolation::shared;
  troupe::infeasible infeasible = infeasible::wait;
  std::uint64_t group_creator = 0;
  std::uint64_t group_number = 0;
  int bundle_index = -1;
  bool capture_children = false;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(num_cpus, num_gpus, memory, resources, name, in_namespace, lifetime, get_if_exists,
            max_restarts, max_task_retries, max_concurrency, groups, max_pending_calls,
            max_batch_size, max_wait, placement, place_key, place_value, soft, isolation,
            infeasible, group_creator, group_number, bundle_index, capture_children);
  }
};

template <class Enum>
void check(const char* what, Enum value, Enum last) {
  if (value > last) throw archive_error(std::string("options: no such ") + what);
}

scheduling placed(const form& from) {
  switch (from.placement) {
    case scheduling::kind::hybrid:
      return scheduling::hybrid();
    case scheduling::kind::spread:
      return scheduling::spread();
    case scheduling::kind::node_affinity:
      return scheduling::node_affinity(from.place_key, from.soft);
    case scheduling::kind::node_label:
      return scheduling::node_label(from.place_key, from.place_value);
  }
  throw archive_error("options: no such scheduling");
}

}  // namespace

void save_options(output_archive& archive, const options& given) {
  if (given.runtime_env != nullptr) {
    throw archive_error(
        "options with a runtime_env cannot leave their process, because its files lie there: give "
        "the environment to the job, or to the task that gets the pool");
  }
  form out{.num_cpus = given.num_cpus,
           .num_gpus = given.num_gpus,
           .memory = given.memory,
           .resources = {},
           .name = std::string(given.name),
           .in_namespace = std::string(given.in_namespace),
           .lifetime = given.lifetime,
           .get_if_exists = given.get_if_exists,
           .max_restarts = given.max_restarts,
           .max_task_retries = given.max_task_retries,
           .max_concurrency = given.max_concurrency,
           .groups = {},
           .max_pending_calls = given.max_pending_calls,
           .max_batch_size = given.max_batch_size,
           .max_wait = given.max_wait,
           .placement = given.scheduling.what(),
           .place_key = std::string(given.scheduling.key()),
           .place_value = std::string(given.scheduling.value()),
           .soft = given.scheduling.soft(),
           .isolation = given.isolation,
           .infeasible = given.infeasible,
           .group_creator = given.placement_group.creator,
           .group_number = given.placement_group.number,
           .bundle_index = given.bundle_index,
           .capture_children = given.capture_children};
  for (const resource& one : given.resources) out.resources.emplace_back(one.name, one.amount);
  for (const concurrency_group& one : given.groups) out.groups.emplace_back(one.name, one.limit);
  archive(out);
}

std::shared_ptr<const stored_options> load_options(input_archive& archive) {
  form in;
  archive(in);
  check("lifetime", in.lifetime, lifetime::detached);
  check("isolation", in.isolation, isolation::process);
  check("choice for what is infeasible", in.infeasible, infeasible::fail);
  std::vector<resource> resources;
  for (const auto& [name, amount] : in.resources) resources.push_back({name, amount});
  std::vector<concurrency_group> groups;
  for (const auto& [name, limit] : in.groups) groups.push_back({name, limit});
  return stored_options::make({.num_cpus = in.num_cpus,
                               .num_gpus = in.num_gpus,
                               .memory = in.memory,
                               .resources = resource_list(resources.data(), resources.size()),
                               .name = in.name,
                               .in_namespace = in.in_namespace,
                               .lifetime = in.lifetime,
                               .get_if_exists = in.get_if_exists,
                               .max_restarts = in.max_restarts,
                               .max_task_retries = in.max_task_retries,
                               .max_concurrency = in.max_concurrency,
                               .groups = concurrency_groups(groups.data(), groups.size()),
                               .max_pending_calls = in.max_pending_calls,
                               .max_batch_size = in.max_batch_size,
                               .max_wait = in.max_wait,
                               .scheduling = placed(in),
                               .isolation = in.isolation,
                               .infeasible = in.infeasible,
                               .placement_group = {in.group_creator, in.group_number},
                               .bundle_index = in.bundle_index,
                               .capture_children = in.capture_children});
}

}  // namespace troupe::detail
