#include "net/control_records.hpp"

#include <charconv>

namespace troupe::net {

stored_cluster read_cluster(const std::function<std::vector<store_row>(store_table)>& rows_of) {
  stored_cluster all;
  const auto each = [&](store_table of, auto&& use) {
    for (const store_row& one : rows_of(of)) {
      try {
        use(one);
      } catch (const detail::archive_error& e) {
        throw unreadable_row(of, e.what());
      }
    }
  };
  const auto id_of = [](const store_row& one) {
    process_id id = 0;
    std::from_chars(one.key.data(), one.key.data() + one.key.size(), id, 16);
    return id;
  };
  using row = store_row;
  each(store_table::nodes,
       [&](const row& r) { all.nodes[id_of(r)] = detail::decode<join_cluster>(r.body); });
  each(store_table::processes,
       [&](const row& r) { all.processes[id_of(r)] = detail::decode<process_id>(r.body); });
  each(store_table::jobs,
       [&](const row& r) { all.jobs.push_back(detail::decode<stored_job>(r.body)); });
  each(store_table::names,
       [&](const row& r) { all.names.push_back(detail::decode<stored_name>(r.body)); });
  each(store_table::groups,
       [&](const row& r) { all.groups.push_back(detail::decode<stored_group>(r.body)); });
  each(store_table::actors,
       [&](const row& r) { all.actors.push_back(detail::decode<stored_actor>(r.body)); });
  each(store_table::lives, [&](const row& r) {
    auto life = detail::decode<stored_life>(r.body);
    all.lives.emplace(life.local, std::move(life));
  });
  each(store_table::dead,
       [&](const row& r) { all.dead.push_back(detail::decode<process_died>(r.body)); });
  each(store_table::meta, [&](const row& r) {
    if (r.key == "next_job") all.next_job = detail::decode<job_id>(r.body);
  });
  return all;
}

}  // namespace troupe::net
