/// The name of this process's node, for messages.
#pragma once

#include <string>

namespace troupe::core {

/// The configured name, or the host's.
std::string node_name();
void set_node_name(std::string name);

}  // namespace troupe::core
