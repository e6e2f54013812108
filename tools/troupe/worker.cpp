// `troupe worker`: runs the generic worker that lies beside this command. It is a program of its
// own, because what libraries use is the shared libtroupe.so, of which a process has one.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tools/troupe/command_line.hpp"
#include "tools/troupe/commands.hpp"

namespace troupe::tools {

int run_worker(const std::vector<std::string>& words) {
  std::error_code wrong;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", wrong);
  const std::string path = (own.parent_path() / "troupe-worker").string();
  std::vector<std::string> arguments{path};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<char*> pointers;
  for (std::string& a : arguments) pointers.push_back(a.data());
  pointers.push_back(nullptr);
  ::execv(path.c_str(), pointers.data());
  throw command_error(failed, "cannot run " + path + ": " + std::strerror(errno) +
                                  "; it is installed with this command");
}

}  // namespace troupe::tools
