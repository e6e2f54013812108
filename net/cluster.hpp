/// A process's place in a cluster: everything that a driver or worker does with other processes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/sharing.hpp"
#include "net/actor_host.hpp"
#include "net/actor_manager.hpp"
#include "net/cluster_address.hpp"
#include "net/cluster_groups.hpp"
#include "net/endpoint.hpp"
#include "net/environments.hpp"
#include "net/gpu_memory_reports.hpp"
#include "net/head_questions.hpp"
#include "net/object_sharing.hpp"
#include "net/output_printer.hpp"
#include "net/process.hpp"
#include "net/remote_actor.hpp"
#include "net/task_executor.hpp"
#include "net/task_owner.hpp"
#include "net/value_store.hpp"

namespace troupe::net {

/// Thread-safe.
class cluster final : public core::cluster_link, public core::sharing, public endpoint_handler {
 public:
  /// Connects to the node and registers there. Throws `connection_error` that names the cause and
  /// what to do.
  cluster(core::runtime& runtime, const cluster_address& at, register_process introduction);
  ~cluster() override;

  /// Takes messages from now on, and those that came before: the runtime can be found.
  void start();
  /// A worker's life: returns when its node wants it to end, or is gone.
  void serve();
  /// Ends what this process owns and hosts elsewhere, and says goodbye.
  void leave(std::chrono::milliseconds patience) noexcept override;
  /// What the head knows of the cluster. Throws `connection_error`.
  status ask_head();

  const process& here() const noexcept { return here_; }

  // -- core::cluster_link -------------------------------------------------------------------------
  void tasks_wait(tasks::task_queue& queue) noexcept override;
  std::uint64_t own_node() const noexcept override { return here_.node.id; }
  void task_stopped(detail::task& task) noexcept override;
  detail::actor_core_ptr create_actor(const detail::class_info& info, detail::actor_call* creation,
                                      detail::options_ptr options, bool& taken) override;
  detail::actor_core_ptr find_actor(std::string_view name, std::string_view in_namespace,
                                    const detail::class_info& info) override;
  std::string prepare_environment(const runtime_env& wanted) override;
  detail::actor_core_ptr public_handle(detail::local_actor& actor) override;

  // -- core::sharing ------------------------------------------------------------------------------
  void save_ref(detail::output_archive& archive, const detail::object_ptr& object,
                const detail::object_ops& ops) override;
  detail::object_ptr load_ref(detail::input_archive& archive,
                              const detail::object_ops& ops) override;
  void save_handle(detail::output_archive& archive, const detail::actor_core_ptr& actor) override;
  detail::archive_receiver receiver_of_archive() noexcept override;
  detail::actor_core_ptr load_handle(detail::input_archive& archive,
                                     const detail::class_info& info) override;
  void dropped(detail::remote_object& object) noexcept override;
  void cancel(detail::remote_object& object, bool recursive) noexcept override;
  detail::stored_ptr store_value(std::span<const std::byte> inline_bytes,
                                 std::span<const std::span<const std::byte>> segments,
                                 std::string_view made_by, bool is_result) override;
  void save_stored(detail::output_archive& archive, const detail::stored_value& where) override;
  detail::stored_ptr load_stored(detail::input_archive& archive, bool given) override;

 private:
  // -- endpoint_handler ---------------------------------------------------------------------------
  void received(process_id from, message&& what) override;
  void unreachable(process_id peer, const std::string& why) override;
  void renewed(const peer& who) override;

  void handle(process_id from, message&& what);
  void process_gone(process_id gone, const std::string& cause);
  /// Asks and tells the head again what it may not have heard.
  void tell_head_again();
  actor_plan plan_of(const detail::class_info& info, detail::actor_call& creation,
                     const options& given);
  detail::actor_core_ptr adopt_by_head(const detail::class_info& info, detail::actor_call& creation,
                                       actor_plan plan, const options& given);
  detail::actor_core_ptr handle_of(const name_reply& known, const detail::class_info& info,
                                   std::string_view name);
  void end(const std::string& why);
  /// Looks again and again whether the node's daemon lives: a link that worked once is tried for
  /// ever.
  void watch_node();
  /// Of a worker: ends the process when its node gives no sign any more.
  void watch_fence();

  process here_;
  head_questions head_questions_;
  std::string node_folder_;
  struct fence {
    std::chrono::milliseconds after{0};  ///< 0: there is none
    std::size_t queued = 0;              ///< bytes that the node had not acknowledged
    std::chrono::steady_clock::time_point heard{};
    std::chrono::steady_clock::time_point looked{};
  };
  fence fence_;                      // of the endpoint's thread
  std::atomic<bool> closed_{false};  // no handler does anything any more
  bool started_ = false;             // of the endpoint's thread, as the next one
  std::vector<std::pair<process_id, message>> early_;
  output_printer output_;
  std::shared_ptr<value_store> values_;  // shared with values that outlive this
  environments environments_;
  std::unique_ptr<object_sharing> objects_;
  std::unique_ptr<lease_desk> desk_;
  std::unique_ptr<task_owner> owner_;
  std::unique_ptr<task_executor> executor_;
  std::unique_ptr<actor_manager> manager_;
  std::unique_ptr<actor_directory> directory_;
  std::unique_ptr<actor_host> host_;
  std::unique_ptr<gpu_memory_reports> gpu_memory_;
  cluster_groups* groups_ = nullptr;  ///< of the runtime, which outlives this

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<registered> registration_;  // guarded by mutex_, as below
  std::string ended_;                       // why the node wants nothing more of this process
  bool node_lost_ = false;

  std::unique_ptr<endpoint> net_;  // last: its thread calls the others
};

}  // namespace troupe::net
