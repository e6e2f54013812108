/// Looks whether the daemons of quiet nodes are still there.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "net/ids.hpp"

namespace troupe::net {

/// A daemon listens as long as it lives. So where a machine answers and refuses a connection it has
/// ended, and nobody need wait until its silence is long enough. One that is stopped, slow or cut
/// off does not refuse. Thread-safe; has a thread of its own, because names are looked up.
class listener_watch {
 public:
  /// `ended` is told of each that is found gone, once, by that thread; it must not block.
  explicit listener_watch(std::function<void(process_id)> ended);
  ~listener_watch();
  listener_watch(const listener_watch&) = delete;
  listener_watch& operator=(const listener_watch&) = delete;

  /// Looks once for each of them, until it is no more among them: then it was heard of.
  void look_for(const std::vector<peer>& quiet);

 private:
  void run();

  const std::function<void(process_id)> ended_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;                     // guarded by mutex_, as the next ones
  std::map<process_id, std::string> wanted_;  ///< by address
  std::set<process_id> looked_at_;            ///< of those that are quiet still
  std::thread thread_;
};

}  // namespace troupe::net
