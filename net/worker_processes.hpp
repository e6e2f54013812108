/// Starts worker processes, watches them and what they print, and kills them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/ids.hpp"
#include "net/output_lines.hpp"
#include "net/rotating_file.hpp"

namespace troupe::net {

struct worker_program {
  std::uint64_t token = 0;
  std::string executable;
  std::vector<std::string> arguments;    ///< with argv[0]
  std::vector<std::string> environment;  ///< NAME=VALUE
  std::string working_dir;
};

struct worker_exit {
  std::uint64_t token = 0;
  std::int64_t pid = 0;   ///< 0: it could not be started
  std::string cause;      ///< "signal 9 (Killed)", "exit code 3", "it could not be started: ..."
  bool in_order = false;  ///< exit code 0
  std::string last_lines;
};

/// Who is told; calls come from one thread of its own and must not block.
class worker_watcher {
 public:
  virtual void exited(const worker_exit& what) = 0;
  virtual void printed(std::uint64_t token, std::int64_t pid, bool error,
                       std::vector<output_line> lines) = 0;
  virtual void driver_ended(process_id process) = 0;

 protected:
  ~worker_watcher() = default;
};

struct worker_logs {
  std::string folder;
  rotation each{};
  std::size_t kept = 200;  ///< workers that have ended and whose files are kept
};

/// Thread-safe. One thread starts all workers and lives as long as this does: the kernel kills a
/// worker when the thread that started it ends, so none outlives its node, however that ends.
///
/// Each worker is the leader of a process group, which is killed with it. What it prints goes line
/// by line to FOLDER/worker-PID.out and .err and to the watcher.
class worker_processes {
 public:
  worker_processes(worker_logs logs, worker_watcher& watcher);
  /// Kills those that live.
  ~worker_processes();
  worker_processes(const worker_processes&) = delete;
  worker_processes& operator=(const worker_processes&) = delete;

  void start(worker_program program);
  void kill(std::uint64_t token);
  /// Tells when that process of this machine has ended.
  void watch_driver(process_id process, std::int64_t pid);

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::net
