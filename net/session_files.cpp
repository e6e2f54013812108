#include "net/session_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include <troupe/error.hpp>

#include "net/endpoint.hpp"
#include "net/messages.hpp"

namespace troupe::net {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_file_bytes = std::size_t{64} << 10;
constexpr std::size_t key_characters = 40;

std::string last_error() { return std::strerror(errno); }

/// The file's bytes, up to the bound; errno says why when there are none.
std::optional<std::string> read_small_file(int fd) {
  std::string text(most_file_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > most_file_bytes) {
    errno = EFBIG;
    return std::nullopt;
  }
  text.resize(size);
  return text;
}

void write_whole(const std::string& path, const std::string& text) {
  const std::string next = path + ".new";
  ::unlink(next.c_str());
  const core::descriptor file(::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  bool done = file.get() >= 0;
  for (std::size_t at = 0; done && at < text.size();) {
    const ssize_t put = ::write(file.get(), text.data() + at, text.size() - at);
    if (put < 0 && errno == EINTR) continue;
    done = put >= 0;
    at += done ? static_cast<std::size_t>(put) : 0;
  }
  if (!done || ::rename(next.c_str(), path.c_str()) != 0) {
    throw connection_error("cannot write " + path + ": " + last_error());
  }
}

void make_private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw connection_error("cannot make the folder " + path + ": " + last_error());
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    throw connection_error("cannot look at the folder " + path + ": " + last_error());
  }
  if (!S_ISDIR(info.st_mode)) throw connection_error(path + " is not a folder");
  if (info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
    throw connection_error("the folder " + path +
                           " may be entered by others than this user; remove it, make it private "
                           "(chmod 700), or choose another one by TROUPE_SESSION_BASE");
  }
}

void remove_leftovers(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.is_socket(ignored)) fs::remove(entry.path(), ignored);
  }
  fs::remove(folder + "/node.json", ignored);
}

}  // namespace

std::string to_hex(process_id id) {
  char text[17];
  const auto end = std::to_chars(text, text + sizeof(text), id, 16).ptr;
  return {text, end};
}

void check_node_name(const std::string& name) {
  const bool good = !name.empty() && name.size() <= 64 && name[0] != '.' && name != "current" &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                    });
  if (!good) {
    throw connection_error("'" + name +
                           "' is no name for a node: up to 64 letters, digits, '-', '_' and '.', "
                           "not beginning with '.', and not 'current'");
  }
}

std::string session_base_path() {
  const char* const chosen = std::getenv("TROUPE_SESSION_BASE");
  if (chosen != nullptr && *chosen != '\0') return fs::absolute(chosen).lexically_normal();
  return "/tmp/troupe-" + std::to_string(::geteuid());
}

std::string session_base() {
  std::string base = session_base_path();
  while (base.size() > 1 && base.back() == '/') base.pop_back();
  make_private_folder(base);
  return base;
}

// -- node.json ------------------------------------------------------------------------------------

std::optional<node_file> read_node_file(const std::string& session_dir, std::string& why) {
  const std::string path = session_dir + "/node.json";
  const core::descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::optional<std::string> text;
  if (file) text = read_small_file(file.get());
  if (!text) {
    why = "cannot read " + path + ": " + last_error();
    return std::nullopt;
  }
  try {
    const auto json = nlohmann::json::parse(*text);
    node_file result;
    result.protocol = json.at("protocol").get<std::uint32_t>();
    result.pid = json.at("pid").get<std::int64_t>();
    const auto id = json.at("id").get<std::string>();
    const auto read = std::from_chars(id.data(), id.data() + id.size(), result.self.id, 16);
    if (read.ec != std::errc{} || read.ptr != id.data() + id.size()) {
      why = path + ": '" + id + "' is no id";
      return std::nullopt;
    }
    result.self.host = json.at("host").get<std::string>();
    result.self.local = json.at("local").get<std::string>();
    result.self.remote = json.at("remote").get<std::string>();
    result.name = json.at("name").get<std::string>();
    result.head = json.at("head").get<std::string>();
    result.key_file = json.at("key_file").get<std::string>();
    result.session_dir = session_dir;
    if (const auto own = json.find("own_head"); own != json.end()) {
      const auto own_id = own->at("id").get<std::string>();
      std::from_chars(own_id.data(), own_id.data() + own_id.size(), result.own_head.id, 16);
      result.own_head.host = result.self.host;
      result.own_head.local = own->at("local").get<std::string>();
      result.own_head.remote = result.head;
      result.own_head.epoch = own->at("life").get<std::uint32_t>();
      result.store = own->at("store").get<std::string>();
    }
    return result;
  } catch (const nlohmann::json::exception& error) {
    why = path + " is not what a node writes: " + error.what();
    return std::nullopt;
  }
}

void write_node_file(const node_file& file) {
  nlohmann::json json{
      {"protocol", file.protocol}, {"pid", file.pid},          {"id", to_hex(file.self.id)},
      {"host", file.self.host},    {"local", file.self.local}, {"remote", file.self.remote},
      {"name", file.name},         {"head", file.head},        {"key_file", file.key_file}};
  if (file.is_head()) {
    json["own_head"] = {{"id", to_hex(file.own_head.id)},
                        {"local", file.own_head.local},
                        {"life", file.own_head.epoch},
                        {"store", file.store}};
  }
  write_whole(file.session_dir + "/node.json",
              json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

bool node_runs(const std::string& session_dir) {
  const std::string path = session_dir + "/node.lock";
  const core::descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::vector<node_file> running_nodes(const std::string& base) {
  std::vector<node_file> result;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(base, none)) {
    if (entry.is_symlink(none) || !entry.is_directory(none) || !node_runs(entry.path())) continue;
    std::string why;
    if (auto file = read_node_file(entry.path(), why)) result.push_back(std::move(*file));
  }
  std::sort(result.begin(), result.end(),
            [](const node_file& a, const node_file& b) { return a.name < b.name; });
  return result;
}

std::optional<node_file> current_node(const std::string& base) {
  std::error_code none;
  const fs::path link = fs::path(base) / "current";
  if (const fs::path target = fs::read_symlink(link, none); !none) {
    const std::string folder = target.is_absolute() ? target : fs::path(base) / target;
    std::string why;
    if (node_runs(folder)) {
      if (auto file = read_node_file(folder, why)) return file;
    }
  }
  auto all = running_nodes(base);
  if (all.empty()) return std::nullopt;
  return std::move(all.front());
}

// -- keys -----------------------------------------------------------------------------------------

std::string read_cluster_key(const std::string& path) {
  const core::descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) {
    throw connection_error("cannot read the cluster key " + path + ": " + last_error());
  }
  // A group may read what a container platform mounts for it: that is root's file, not the user's.
  const bool own = info.st_uid == ::geteuid();
  const mode_t refused = own && info.st_uid != 0 ? 077 : 037;
  if (!S_ISREG(info.st_mode) || (info.st_mode & refused) != 0 || (!own && info.st_uid != 0)) {
    throw connection_error("the cluster key " + path +
                           " must be a file that belongs to this user and that nobody else can "
                           "read: chmod 600 it");
  }
  auto text = read_small_file(file.get());
  if (!text) throw connection_error("cannot read the cluster key " + path + ": " + last_error());
  while (!text->empty() && std::isspace(static_cast<unsigned char>(text->back())) != 0) {
    text->pop_back();
  }
  if (text->size() != key_characters) {
    throw connection_error(path + " holds no cluster key: that is one line of " +
                           std::to_string(key_characters) + " characters");
  }
  return *text;
}

void write_cluster_key(const std::string& path, const std::string& key) {
  write_whole(path, key + "\n");
}

std::string make_cluster_key_file(const std::string& path) {
  std::error_code none;
  if (!fs::exists(path, none)) write_cluster_key(path, make_cluster_key());
  return read_cluster_key(path);
}

// -- a node's folder ------------------------------------------------------------------------------

session_folder::session_folder(const std::string& base, const std::string& name)
    : base_(base), path_(base + "/" + name) {
  check_node_name(name);
  make_private_folder(path_);
  make_private_folder(path_ + "/logs");
  const std::string lock_path = path_ + "/node.lock";
  lock_.reset(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_) throw connection_error("cannot open " + lock_path + ": " + last_error());
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    const std::string pid = read_small_file(lock_.get()).value_or("");
    throw connection_error("node '" + name + "' runs on this machine already" +
                           (pid.empty() ? "" : " (pid " + pid + ")") +
                           "; stop it by `troupe stop --node-name " + name +
                           "`, or choose another --node-name");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock_.get(), 0) != 0 ||
      ::pwrite(lock_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    throw connection_error("cannot write " + lock_path + ": " + last_error());
  }
  // Of a daemon that was killed.
  remove_leftovers(path_);
}

session_folder::~session_folder() {
  remove_leftovers(path_);
  std::error_code none;
  const fs::path link = fs::path(base_) / "current";
  if (fs::read_symlink(link, none) == fs::path(path_)) fs::remove(link, none);
}

void session_folder::become_current() {
  const std::string link = base_ + "/current";
  const std::string next = link + "." + std::to_string(::getpid());
  std::error_code error;
  fs::remove(next, error);
  fs::create_symlink(path_, next, error);
  if (!error) fs::rename(next, link, error);
  if (error) throw connection_error("cannot make the link " + link + ": " + error.message());
}

}  // namespace troupe::net
