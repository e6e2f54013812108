#include "net/worker_processes.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <troupe/log.hpp>

#include "core/descriptor.hpp"
#include "net/spawn.hpp"

namespace troupe::net {
namespace {

constexpr std::size_t read_at_once = 65'536;
// A log file is rotated between two of these.
constexpr std::size_t log_piece = 1'024;
// Of what lies in a pipe when its writer has ended; pipes hold no more.
constexpr int reads_after_the_end = 32;

std::string cause_of(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    return "signal " + std::to_string(number) + " (" + ::strsignal(number) + ")";
  }
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

/// The logs of earlier workers in a folder, oldest first, without the ending of their stream.
std::deque<std::string> logs_in(const std::string& folder) {
  std::map<std::pair<std::filesystem::file_time_type, std::string>, bool> found;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const std::filesystem::path& path = entry.path();
    if (path.filename().string().rfind("worker-", 0) != 0 || path.extension() != ".out") continue;
    found[{entry.last_write_time(none), path.parent_path() / path.stem()}] = true;
  }
  std::deque<std::string> result;
  for (const auto& [key, unused] : found) result.push_back(key.second);
  return result;
}

}  // namespace

class worker_processes::implementation {
 public:
  implementation(worker_logs logs, worker_watcher& watcher)
      : logs_(std::move(logs)), watcher_(watcher), old_logs_(logs_in(logs_.folder)) {
    poll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    core::descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!poll_ || !wake) {
      throw std::system_error(errno, std::generic_category(), "cannot watch worker processes");
    }
    wake_ = wake.get();
    add(std::move(wake), [this] { run_commands(); });
    thread_ = std::thread([this] { loop(); });
  }

  ~implementation() {
    post([this] { ending_ = true; });
    thread_.join();
  }

  void post(std::function<void()> command) {
    {
      const std::lock_guard guard(mutex_);
      commands_.push_back(std::move(command));
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(wake_, &one, sizeof(one));
  }

  // -- on the thread ------------------------------------------------------------------------------

  void start(const worker_program& program) {
    spawned made =
        spawn(program.executable, program.arguments, program.environment, program.working_dir);
    if (made.pid < 0) {
      watcher_.exited({program.token, 0, "it could not be started: " + made.error, false, {}});
      return;
    }
    worker& added = workers_[program.token];
    added.token = program.token;
    added.pid = made.pid;
    added.pidfd = made.pidfd.get();
    added.streams[0] = open_stream(made.out.get(), made.pid, ".out");
    added.streams[1] = open_stream(made.err.get(), made.pid, ".err");
    add(std::move(made.out), [this, &added] { read_some(added, 0); });
    add(std::move(made.err), [this, &added] { read_some(added, 1); });
    add(std::move(made.pidfd), [this, &added] { reap(added); });
  }

  void kill(std::uint64_t token) {
    const auto found = workers_.find(token);
    if (found != workers_.end()) ::kill(-found->second.pid, SIGKILL);
  }

  void watch_driver(process_id process, std::int64_t pid) {
    core::descriptor running = open_pidfd(static_cast<pid_t>(pid));
    if (!running) {
      // Only when it is gone; otherwise its link tells.
      if (errno == ESRCH) watcher_.driver_ended(process);
      return;
    }
    const int fd = running.get();
    add(std::move(running), [this, fd, process] {
      remove(fd);
      watcher_.driver_ended(process);
    });
  }

 private:
  struct stream {
    int pipe = -1;
    rotating_file log;
    output_lines lines;
  };
  struct worker {
    std::uint64_t token = 0;
    pid_t pid = -1;
    int pidfd = -1;
    std::array<stream, 2> streams;  ///< stdout, stderr
  };

  struct handler {
    std::uint32_t life = 0;
    std::function<void()> ready;
    core::descriptor watched;  ///< closed with its handler
  };

  std::string log_of(pid_t pid) const { return logs_.folder + "/worker-" + std::to_string(pid); }

  stream open_stream(int pipe, pid_t pid, const char* ending) const {
    return {pipe, rotating_file(log_of(pid) + ending, logs_.each), {}};
  }

  /// Beyond the bound the logs of those that ended first go.
  void keep_log(pid_t pid) {
    old_logs_.push_back(log_of(pid));
    while (old_logs_.size() > logs_.kept) {
      for (const char* const ending : {".out", ".err"}) {
        remove_rotated(old_logs_.front() + ending, logs_.each.files);
      }
      old_logs_.pop_front();
    }
  }

  /// Lines go to the log and to the watcher.
  void pass_on(const worker& of, std::size_t which, std::vector<output_line> lines,
               rotating_file& log) {
    if (lines.empty()) return;
    std::string text;
    for (const output_line& line : lines) {
      text.append(line.text).append(1, '\n');
      if (text.size() < log_piece && &line != &lines.back()) continue;
      log.write(text);
      text.clear();
    }
    watcher_.printed(of.token, of.pid, which == 1, std::move(lines));
  }

  void add(core::descriptor watched, std::function<void()> ready) {
    const int fd = watched.get();
    // Descriptors are used again: an event of one that was closed must not reach its successor.
    const std::uint32_t life = ++lives_;
    handlers_[fd] = {life, std::move(ready), std::move(watched)};
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = (std::uint64_t{life} << 32) | static_cast<std::uint32_t>(fd);
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      log::error("cannot watch a worker process: ", std::strerror(errno));
    }
  }

  void remove(int fd) {
    ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    handlers_.erase(fd);
  }

  /// False when there is nothing more now.
  bool read_some(worker& of, std::size_t which) {
    stream& s = of.streams[which];
    if (s.pipe < 0) return false;
    std::array<char, read_at_once> buffer;
    const ssize_t got = ::read(s.pipe, buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
    std::vector<output_line> lines;
    if (got > 0) {
      s.lines.add(std::string_view(buffer.data(), static_cast<std::size_t>(got)), lines);
    } else {
      s.lines.finish(lines);
      remove(std::exchange(s.pipe, -1));
    }
    pass_on(of, which, std::move(lines), s.log);
    return got > 0;
  }

  void reap(worker& of) {
    for (std::size_t i = 0; i < 2; ++i) {
      for (int n = 0; n < reads_after_the_end && read_some(of, i); ++n) {
      }
    }
    // Before its number can be another's: what it started and left behind goes as well.
    ::kill(-of.pid, SIGKILL);
    int status = 0;
    while (::waitpid(of.pid, &status, 0) < 0 && errno == EINTR) {
    }
    remove(of.pidfd);
    for (std::size_t i = 0; i < 2; ++i) {
      stream& s = of.streams[i];
      std::vector<output_line> lines;
      s.lines.finish(lines);
      pass_on(of, i, std::move(lines), s.log);
      if (s.pipe >= 0) remove(std::exchange(s.pipe, -1));
      s.log.close();
    }
    keep_log(of.pid);
    worker_exit what;
    what.token = of.token;
    what.pid = of.pid;
    what.cause = cause_of(status);
    what.in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    what.last_lines = of.streams[1].lines.last();
    if (what.last_lines.empty()) what.last_lines = of.streams[0].lines.last();
    workers_.erase(of.token);
    watcher_.exited(what);
  }

  void run_commands() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t ignored = ::read(wake_, &count, sizeof(count));
    std::deque<std::function<void()>> commands;
    {
      const std::lock_guard guard(mutex_);
      commands.swap(commands_);
    }
    for (const auto& command : commands) command();
  }

  void loop() {
    std::array<epoll_event, 64> events;
    while (!ending_) {
      const int count =
          ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        // One handler may remove the descriptor of a later event.
        const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
        const auto found = handlers_.find(static_cast<int>(key & 0xffff'ffffU));
        if (found == handlers_.end() || found->second.life != key >> 32) continue;
        const auto ready = found->second.ready;
        ready();
      }
    }
    for (auto& [token, w] : workers_) {
      ::kill(-w.pid, SIGKILL);
      ::waitpid(w.pid, nullptr, 0);
    }
  }

  const worker_logs logs_;
  worker_watcher& watcher_;
  std::deque<std::string> old_logs_;  // oldest first; of the thread
  core::descriptor poll_;
  int wake_ = -1;  // its handler has it
  std::mutex mutex_;
  std::deque<std::function<void()>> commands_;  // guarded by mutex_
  std::map<std::uint64_t, worker> workers_;     // from here on: of the thread
  std::map<int, handler> handlers_;
  std::uint32_t lives_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

worker_processes::worker_processes(worker_logs logs, worker_watcher& watcher)
    : impl_(std::make_unique<implementation>(std::move(logs), watcher)) {}
worker_processes::~worker_processes() = default;

void worker_processes::start(worker_program program) {
  impl_->post([impl = impl_.get(), program = std::move(program)] { impl->start(program); });
}
void worker_processes::kill(std::uint64_t token) {
  impl_->post([impl = impl_.get(), token] { impl->kill(token); });
}
void worker_processes::watch_driver(process_id process, std::int64_t pid) {
  impl_->post([impl = impl_.get(), process, pid] { impl->watch_driver(process, pid); });
}

}  // namespace troupe::net
