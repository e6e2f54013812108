// Reads any bytes as the files by which processes of a machine find each other: a node's, a cluster
// key; and as addresses and names. Input: one byte that chooses, then the text.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <troupe/error.hpp>

#include "net/address.hpp"
#include "net/cluster_address.hpp"
#include "net/endpoint.hpp"
#include "net/session_files.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using namespace troupe::net;

namespace {

/// A folder for the files, removed at the end.
class folder {
 public:
  folder() {
    const bool memory = std::filesystem::is_directory("/dev/shm");
    std::string name = memory ? "/dev/shm/troupe-fuzz-XXXXXX" : "/tmp/troupe-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) fuzz::found("no folder for files");
    path_ = name;
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;

  const std::string& path() const { return path_; }
  std::string write(const char* name, std::string_view text) const {
    std::string file = path_ + "/" + name;
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      fuzz::found("no file");
    }
    ::close(fd);
    return file;
  }

 private:
  std::string path_;
};

void read_node(const folder& in, std::string_view text) {
  in.write("node.json", text);
  std::string why;
  const auto file = read_node_file(in.path(), why);
  fuzz::check(file.has_value() || !why.empty(), "a node's file is refused without a reason");
  if (!file) return;
  write_node_file(*file);
  const auto again = read_node_file(in.path(), why);
  // A text that is no UTF-8 is no JSON; what was read can be written.
  fuzz::check(again && again->name == file->name && again->self.id == file->self.id,
              "a node's file changes on its way");
}

void read_key(const folder& in, std::string_view text) {
  try {
    public_half(read_cluster_key(in.write("cluster.key", text)));
  } catch (const connection_error&) {
    // Refused, as it should be.
  }
}

void read_address(std::string_view text) {
  const auto parsed = parse_address(std::string(text));
  if (!parsed) return;
  const auto again = parse_address(parsed->text());
  fuzz::check(again && again->host == parsed->host && again->port == parsed->port,
              "an address changes on its way");
}

void read_environment(std::string_view text) {
  const std::string value(text.substr(0, text.find('\0')));
  ::setenv("TROUPE_WORKER_NODE", value.c_str(), 1);
  ::setenv("TROUPE_WORKER_TOKEN", value.c_str(), 1);
  ::setenv("TROUPE_SESSION_DIR", "/nowhere", 1);
  try {
    if (is_worker_process()) worker_address();
  } catch (const connection_error&) {
  }
  try {
    worker_token();
  } catch (const connection_error&) {
  }
}

void read_name(std::string_view text) {
  try {
    check_node_name(std::string(text));
    fuzz::check(text.find('/') == std::string_view::npos && text != "..",
                "a name leads out of its folder");
  } catch (const connection_error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const folder here;
  fuzz::input in(data, size);
  const auto choice = in.number<std::uint8_t>() % 5;
  const std::string_view text = in.text();
  if (choice == 0) read_node(here, text);
  if (choice == 1) read_key(here, text);
  if (choice == 2) read_address(text);
  if (choice == 3) read_environment(text);
  if (choice == 4) read_name(text);
  return 0;
}
