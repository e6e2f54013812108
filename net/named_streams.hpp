/// Makes a worker's stdout and stderr say for each line which function or actor printed it.
#pragma once

#include <string>

namespace troupe::net {

/// From now on what goes through `stdout`, `stderr`, `std::cout`, `std::cerr` and `std::clog` is
/// gathered for each thread until its line is whole, and written at once with the name that
/// `printer()` gives on that thread (none when it is empty) in the form of net/output_lines.hpp.
/// What goes past these, by write(2) or from a child process, has no name.
///
/// Once in the life of a process, before other threads print.
void name_output_lines(std::string (*printer)());

}  // namespace troupe::net
