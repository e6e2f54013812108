/// The custom resources of a node as they are given on the command line.
#pragma once

#include <string>

#include "core/resources.hpp"

namespace troupe::tools {

/// Of a JSON object such as `{"disk": 1}`. Throws `command_error` that says what is wrong with it.
core::resource_set parse_resources(const std::string& json);

}  // namespace troupe::tools
