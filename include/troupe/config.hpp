/// What `troupe::init` can be told: resources, limits, logging.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <troupe/log_level.hpp>
#include <troupe/runtime_env.hpp>

namespace troupe {

/// Settings of a session; an aggregate for designated initialisers. Each but `claim_help` and
/// `runtime_env` is also an option of the command line, an environment variable and a key of the
/// configuration file, whose name is the field's (`num_cpus`: `--troupe-num-cpus`,
/// `TROUPE_NUM_CPUS`, `num-cpus`); these win over what the program sets here.
struct config {
  /// CPUs that tasks share, in steps of 0.0001. Default: what affinity and cgroups allow, at
  /// least 1.
  std::optional<double> num_cpus{};
  /// GPUs that tasks share. Default: what the machine has and `CUDA_VISIBLE_DEVICES` leaves; any
  /// other number is of logical ones, for which nothing need be there.
  std::optional<double> num_gpus{};
  /// Custom resources by name: `{{"disk", 1}, {"license", 2}}`.
  std::vector<std::pair<std::string, double>> resources{};
  /// Bytes of memory that tasks may ask for. Default: 70 % of what the machine and cgroups allow.
  std::optional<std::uint64_t> memory{};
  /// Namespace of this program's named actors (option `namespace`).
  std::string job_namespace{};
  /// Cluster to connect to; empty: embedded, everything in this process.
  std::string address{};
  /// In a cluster, values of at least so many bytes lie in the node's store; smaller ones are kept
  /// by their owner and travel in messages.
  std::uint64_t max_inline_bytes = std::uint64_t{100} << 10;
  /// Memory for the arguments of tasks whose results lie in a store, so that they can run again
  /// when those are lost. What does not fit is not rebuilt; 0: nothing is.
  std::uint64_t max_lineage_bytes = std::uint64_t{1} << 30;

  troupe::log_level log_level = troupe::log_level::info;
  /// Log file, appended to; its folder must exist. Empty: stderr.
  std::string log_file{};
  /// Bytes after which the log file is renamed to `FILE.1` and begun anew.
  std::uint64_t log_file_max_bytes = std::uint64_t{100} << 20;
  /// Log files that are kept, the one being written included.
  std::size_t log_files = 5;

  /// In a cluster: a line that several workers print within 5 s is shown once, with a count.
  bool dedup_output = true;

  /// A further `init` gives a session that does not own the runtime instead of an error.
  bool ignore_reinit = false;

  /// Hard bound of threads that run tasks and actors.
  std::size_t max_threads = 4096;
  /// Threads above which blocked tasks are resumed before further ones are started; at most
  /// `max_threads`, a larger value means that.
  std::size_t soft_max_threads = 256;
  /// Bound of tasks with equal resources that wait to run, and of calls that one actor has waiting.
  std::size_t max_pending = 16'000'000;
  /// Bytes on their way to one process of a cluster above which those who send to it wait.
  std::size_t max_queued_bytes = std::size_t{256} << 20;
  /// How long `shutdown` waits for running code; 0: not at all.
  std::chrono::milliseconds shutdown_timeout{10'000};
  /// Bytes of stack of each of those threads; reserved, used only as far as it is touched.
  std::size_t thread_stack_bytes = std::size_t{8} << 20;
  /// Messages that an actor handles before it lets others run.
  std::size_t max_throughput = 200;
  /// Results that a generator may be ahead of its consumer.
  std::size_t generator_backpressure = 16;

  /// Name of this node, shown in errors. Empty: the host's name.
  std::string node_name{};
  /// Labels that `scheduling::node_label` finds: `{{"zone", "a"}}`.
  std::vector<std::pair<std::string, std::string>> labels{};

  /// The environment of this program's workers; of an embedded program, what of it can be had.
  troupe::runtime_env runtime_env{};
  /// Bytes that the files of one environment may have.
  std::uint64_t package_max_bytes = std::uint64_t{512} << 20;

  /// `--help` on the command line asks for troupe's options, as `--troupe-help` always does; for
  /// programs without options of their own.
  bool claim_help = false;

  bool operator==(const config&) const = default;
};

}  // namespace troupe
