/// Shows what a driver's workers print.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "net/endpoint.hpp"
#include "net/messages.hpp"
#include "net/output_repeats_state.hpp"

namespace troupe::net {

/// On stdout and stderr of this process. Thread-safe; messages come from the endpoint's thread.
class output_printer {
 public:
  /// `join_repeats`: lines that several workers print within 5 s are shown once.
  explicit output_printer(bool join_repeats) : join_repeats_(join_repeats) {}

  void on(endpoint& net, worker_output what);
  /// Shows what is kept back; nothing is kept back from then on.
  void finish();

 private:
  void look_again(endpoint& net);
  static void print(const std::vector<shown_line>& lines);

  std::mutex mutex_;
  bool join_repeats_;  // guarded by mutex_, as below
  bool timer_runs_ = false;
  output_repeats_state state_{std::chrono::seconds(5)};
};

}  // namespace troupe::net
