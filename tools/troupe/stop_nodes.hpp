/// Ends a node's daemon on this machine.
#pragma once

#include <chrono>
#include <string>

namespace troupe::tools {

/// Asks the daemon of that session folder to end, and kills it when it has not after `patience`;
/// with no patience at once. Returns when it is gone; false when it had to be killed. Throws
/// `command_error` when it cannot be ended.
bool stop_node_in(const std::string& folder, std::chrono::milliseconds patience);

}  // namespace troupe::tools
