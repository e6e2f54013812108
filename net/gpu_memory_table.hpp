/// What the processes of a node have of its devices' memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "net/ids.hpp"
#include "net/messages.hpp"

namespace troupe::net {

/// No threads, no clock. The functions that change it say whether `all` is another than before.
class gpu_memory_table {
 public:
  /// Of one process, in place of what it said before.
  bool set(process_id who, std::vector<gpu_memory> has);
  /// Forgets the processes that are not.
  bool keep(const std::function<bool(process_id)>& is_here);
  /// By device, in the order of their UUIDs, of all processes together.
  std::vector<gpu_memory> all() const;

 private:
  std::map<process_id, std::vector<gpu_memory>> of_;
};

}  // namespace troupe::net
