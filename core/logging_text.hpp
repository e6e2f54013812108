/// Makes text safe to stand in one line of a log.
#pragma once

#include <string>
#include <string_view>

namespace troupe::core::logging {

/// Appends `text` with control characters (line ends, escape sequences, also those of ISO 8859) and
/// bytes that are not UTF-8 as `\n`, `\r`, `\t` or `\x1b`: a value that is logged can neither forge
/// a second record nor steer a terminal.
void append_escaped(std::string& to, std::string_view text);

}  // namespace troupe::core::logging
