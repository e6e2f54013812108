/// What a worker process is started with: its driver's program, and where its node is.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "net/ids.hpp"
#include "net/node_state.hpp"
#include "net/worker_processes.hpp"

namespace troupe::net {

struct worker_surroundings {
  peer node;
  std::string session_dir;
  std::string key_file;
  std::string executable;   ///< the program's own, or a copy of it
  std::string environment;  ///< folder of the unpacked environment; empty: none
  std::chrono::milliseconds fence_after{8'000};  ///< without a sign of its node a worker ends
};

/// A node that has heard nothing of its head for so long, and a worker that has heard nothing of
/// its node, ends what it does: then the head gives the node up after `silence`, and what lived on
/// it begins anew elsewhere.
constexpr std::chrono::milliseconds fence_after(std::chrono::milliseconds silence) {
  return silence * 3 / 5;
}

/// The driver's environment, less what concerned the driver itself, and:
/// TROUPE_WORKER_NODE=ID|HOST|LOCAL|REMOTE, TROUPE_WORKER_TOKEN, TROUPE_WORKER_JOB,
/// TROUPE_SESSION_DIR, TROUPE_KEY_FILE, TROUPE_WORKER_FENCE_MS; with GPUs of its own,
/// CUDA_VISIBLE_DEVICES and TROUPE_WORKER_GPUS, their numbers on the node; else the node's own
/// CUDA_VISIBLE_DEVICES. With an environment: its variables and working folder, its folder of
/// libraries at the front of LD_LIBRARY_PATH, TROUPE_WORKER_LIBRARIES=PATH:PATH and
/// TROUPE_WORKER_SETUP=KEY.
worker_program make_worker_program(const start_worker& what, const worker_surroundings& where);

/// The ids as CUDA_VISIBLE_DEVICES names them; `own` is the node's variable, which may allow only
/// some devices.
std::string visible_devices(const std::vector<std::uint32_t>& ids, const std::string& own);

}  // namespace troupe::net
