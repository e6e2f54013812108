#include "net/package_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <set>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include <troupe/log.hpp>

#include "core/descriptor.hpp"
#include "net/archive_file.hpp"
#include "net/content_hash.hpp"
#include "net/pack.hpp"
#include "net/package_shelf.hpp"

namespace troupe::net {
namespace {

namespace fs = std::filesystem;

constexpr const char* partial = ".part";
constexpr const char* unpacked = ".d";
/// What keeps packages without being a worker; workers' tokens are drawn elsewhere.
constexpr std::uint64_t kept_ticket = 1;

core::descriptor open_file(const std::string& path, int flags, mode_t mode = 0) {
  return core::descriptor(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode));
}

void remove_all(const std::string& path) {
  std::error_code none;
  fs::remove_all(path, none);
}

std::uint64_t bytes_below(const std::string& path) {
  std::uint64_t sum = 0;
  std::error_code none;
  if (fs::is_regular_file(path, none)) return fs::file_size(path, none);
  for (fs::recursive_directory_iterator at(path, none), end; at != end; at.increment(none)) {
    if (at->is_regular_file(none) && !at->is_symlink(none)) sum += at->file_size(none);
  }
  return sum;
}

bool same_file(const struct stat& facts, const file_identity& known) {
  return facts.st_dev == known.device && facts.st_ino == known.inode &&
         static_cast<std::uint64_t>(facts.st_size) == known.size &&
         facts.st_mtim.tv_sec * std::int64_t{1'000'000'000} + facts.st_mtim.tv_nsec ==
             known.changed_ns;
}

}  // namespace

/// A thread that works off what touches the disk, in order.
class package_store::disk {
 public:
  disk() : thread_([this] { loop(); }) {}
  ~disk() {
    {
      const std::lock_guard guard(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void run(std::function<void()> job) {
    {
      const std::lock_guard guard(mutex_);
      jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
  }

 private:
  void loop() {
    std::unique_lock guard(mutex_);
    for (;;) {
      changed_.wait(guard, [this] { return ending_ || !jobs_.empty(); });
      if (ending_) return;
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      guard.unlock();
      job();
      guard.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_, as below
  bool ending_ = false;
  std::thread thread_;
};

package_store::package_store(endpoint& net, package_store_options options, std::string host,
                             process_id head)
    : net_(net),
      options_(std::move(options)),
      host_(std::move(host)),
      head_(head),
      state_({.most_bytes = options_.most_bytes, .piece_bytes = package_piece_bytes}),
      alive_(std::make_shared<bool>(true)),
      disk_(std::make_unique<disk>()) {
  if (::mkdir(options_.folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw std::system_error(errno, std::generic_category(), "cannot make " + options_.folder);
  }
  std::map<std::string, std::uint64_t> found;
  for (const auto& entry : fs::directory_iterator(options_.folder)) {
    const std::string name = entry.path().filename().string();
    const std::string hash = name.substr(0, 64);
    if (is_content_hash(hash) && (name == hash || name == hash + unpacked)) {
      found[hash] += bytes_below(entry.path().string());
    } else {
      remove_all(entry.path().string());  // what an earlier daemon did not finish
    }
  }
  for (const auto& [hash, bytes] : found) {
    if (fs::exists(path_of(hash))) {
      state_.found(hash, bytes);
    } else {
      remove_all(path_of(hash) + unpacked);
    }
  }
  carry_out();
}

package_store::~package_store() { *alive_ = false; }

// -- what a worker needs --------------------------------------------------------------------------

void package_store::prepare(std::uint64_t ticket, const register_process& program,
                            const peer& driver, const env_spec& environment,
                            std::function<void(worker_files)> then) {
  preparation& mine = preparations_[ticket];
  mine.then = std::move(then);
  ++mine.waiting;  // for the look at the executable
  std::vector<want_of> wanted;
  if (!environment.package.hash.empty()) {
    wanted.push_back({environment.package, {environment.source.id, driver.id, head_}});
    net_.learn(environment.source);
    mine.files.environment = path_of(environment.package.hash) + unpacked;
  }
  const bool same_machine = driver.host == host_;
  disk_->run([this, alive = alive_, ticket, same_machine, path = program.executable,
              file = program.executable_file, driver = driver.id,
              wanted = std::move(wanted)]() mutable {
    bool in_place = false;
    struct stat facts {};
    if (!options_.copies_only && ::stat(path.c_str(), &facts) == 0) {
      if (same_machine) {
        in_place = same_file(facts, file.identity);
      }
      if (!in_place && static_cast<std::uint64_t>(facts.st_size) == file.what.size) {
        const core::descriptor at = open_file(path, O_RDONLY);
        try {
          in_place = at && hash_of_file(at.get()) == file.what.hash;
        } catch (const std::system_error&) {
          // What cannot be read cannot be run.
        }
      }
    }
    net_.post([this, alive, ticket, in_place, path, file, driver, wanted = std::move(wanted)] {
      if (!*alive) return;
      const auto known = preparations_.find(ticket);
      if (known == preparations_.end()) return;  // its worker is not wanted any more
      preparation& of = known->second;
      std::vector<want_of> all = wanted;
      of.files.executable = in_place ? path : path_of(file.what.hash);
      if (!in_place) all.push_back({file.what, {driver, head_}});
      of.waiting += all.size();
      for (const want_of& one : all) fetch(ticket, one);
      finish(ticket);
    });
  });
}

void package_store::fetch(std::uint64_t ticket, const want_of& wanted) {
  std::vector<process_id> sources = wanted.sources;
  std::erase(sources, net_.id());
  if (!is_content_hash(wanted.what.hash)) sources.clear();
  state_.want(package_state::time::clock::now(), ticket, wanted.what.hash, wanted.what.size,
              std::move(sources));
  carry_out();
}

/// One of what a preparation waits for is there.
void package_store::finish(std::uint64_t ticket) {
  const auto at = preparations_.find(ticket);
  if (at == preparations_.end() || --at->second.waiting > 0) return;
  const preparation done = std::move(at->second);
  preparations_.erase(at);
  done.then(done.files);
}

void package_store::release(std::uint64_t ticket) {
  preparations_.erase(ticket);
  state_.release(ticket);
  carry_out();
}

void package_store::keep(const register_process& program, const peer& driver,
                         const env_spec& environment) {
  const std::uint64_t ticket = kept_ticket;
  net_.learn(driver);
  fetch(ticket, {program.executable_file.what, {driver.id}});
  if (!environment.package.hash.empty()) {
    net_.learn(environment.source);
    fetch(ticket, {environment.package, {environment.source.id, driver.id}});
  }
  // What is on its way comes, and stays as long as there is room.
  state_.release(ticket);
  carry_out();
}

// -- messages -------------------------------------------------------------------------------------

void package_store::on(process_id from, const package_wanted& what) {
  if (!state_.has(what.hash)) {
    net_.send(from, refuse_piece(what, "the head does not have it"));
    return;
  }
  const core::descriptor file = open_file(path_of(what.hash), O_RDONLY);
  net_.send(from,
            file ? read_piece(file.get(), what) : refuse_piece(what, "the head cannot read it"));
}

void package_store::on(process_id from, const package_piece& what, const message& carrier) {
  const std::size_t size = carrier.attachments.empty() ? 0 : carrier.attachments.front().size();
  const bool wanted = state_.received(package_state::time::clock::now(), from, what.hash,
                                      what.offset, size, what.failed);
  if (wanted) {
    disk_->run([this, alive = alive_, hash = what.hash, offset = what.offset,
                bytes = carrier.attachments.front()] {
      std::string failed;
      const core::descriptor file = open_file(path_of(hash) + partial, O_WRONLY);
      for (std::size_t done = 0; done < bytes.size() && failed.empty();) {
        const auto rest = bytes.bytes().subspan(done);
        const ssize_t put =
            ::pwrite(file.get(), rest.data(), rest.size(), static_cast<off_t>(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
          failed = "it cannot be written to " + options_.folder + ": " + std::strerror(errno);
        }
        done += put > 0 ? static_cast<std::size_t>(put) : 0;
      }
      net_.post([this, alive, hash, size = bytes.size(), failed] {
        if (!*alive) return;
        state_.written(package_state::time::clock::now(), hash, size, failed);
        carry_out();
      });
    });
  }
  carry_out();
}

void package_store::process_gone(process_id gone) {
  state_.process_gone(package_state::time::clock::now(), gone);
  carry_out();
}

void package_store::tick() {
  state_.tick(package_state::time::clock::now());
  carry_out();
}

// -- effects --------------------------------------------------------------------------------------

namespace {

/// Checks what has come, and unpacks it when it is an environment. Why it is of no use, or nothing.
std::string put_in_place(const std::string& path, const std::string& hash, std::uint64_t most) {
  const std::string from = path + partial;
  {
    const core::descriptor file = open_file(from, O_RDONLY);
    if (!file) return std::string("it cannot be read again: ") + std::strerror(errno);
    if (hash_of_file(file.get()) != hash) return "its content is not what its name says";
    unsigned char magic[4] = {};
    const bool is_archive = ::pread(file.get(), magic, sizeof(magic), 0) == sizeof(magic) &&
                            std::memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0;
    if (is_archive) {
      remove_all(path + unpacked);
      try {
        unpack_environment(file.get(), path + unpacked + partial, most);
      } catch (...) {
        remove_all(path + unpacked + partial);
        throw;
      }
      if (std::rename((path + unpacked + partial).c_str(), (path + unpacked).c_str()) != 0) {
        return std::string("it cannot be put in its place: ") + std::strerror(errno);
      }
    }
  }
  if (std::rename(from.c_str(), path.c_str()) != 0) {
    return std::string("it cannot be put in its place: ") + std::strerror(errno);
  }
  return {};
}

}  // namespace

void package_store::carry_out() {
  for (package_effect& effect : state_.take_effects()) {
    if (const auto* const ask = std::get_if<ask_piece>(&effect)) {
      if (!net_.send(ask->source, pack(package_wanted{ask->hash, ask->offset}))) {
        net_.post([this, alive = alive_, source = ask->source] {
          if (*alive) process_gone(source);
        });
      }
    } else if (const auto* const begin = std::get_if<begin_file>(&effect)) {
      disk_->run([path = path_of(begin->hash) + partial] {
        ::unlink(path.c_str());
        const core::descriptor made = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
        if (!made) log::warn("cannot make ", path, ": ", std::strerror(errno));
      });
    } else if (const auto* const end = std::get_if<finish_file>(&effect)) {
      disk_->run([this, alive = alive_, hash = end->hash] {
        std::string failed;
        try {
          failed = put_in_place(path_of(hash), hash, options_.most_bytes);
        } catch (const std::exception& e) {
          failed = e.what();
        }
        const std::uint64_t bytes =
            bytes_below(path_of(hash)) + bytes_below(path_of(hash) + unpacked);
        net_.post([this, alive, hash, bytes, failed] {
          if (!*alive) return;
          state_.finished(package_state::time::clock::now(), hash, bytes, failed);
          carry_out();
        });
      });
    } else if (const auto* const old = std::get_if<remove_file>(&effect)) {
      disk_->run([path = path_of(old->hash)] {
        for (const char* const ending : {"", partial, unpacked}) remove_all(path + ending);
      });
    } else if (auto* const answer = std::get_if<package_answer>(&effect)) {
      net_.post([this, alive = alive_, what = std::move(*answer)] {
        if (!*alive) return;
        const auto at = preparations_.find(what.ticket);
        if (at == preparations_.end()) return;
        if (!what.failed.empty()) at->second.files.failed = what.failed;
        finish(what.ticket);
      });
    }
  }
}

}  // namespace troupe::net
