/// The subcommands of `troupe`. Each gives its exit code or throws `command_error`.
#pragma once

#include <string>
#include <vector>

namespace troupe::tools {

int start(const std::vector<std::string>& words);
int stop(const std::vector<std::string>& words);
int show_status(const std::vector<std::string>& words);
int show_memory(const std::vector<std::string>& words);
int run_worker(const std::vector<std::string>& words);

}  // namespace troupe::tools
