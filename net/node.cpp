#include "net/node.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <type_traits>
#include <unordered_set>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "core/descriptor.hpp"
#include "core/fault.hpp"
#include "net/address.hpp"
#include "net/demand.hpp"
#include "net/gpu_memory_table.hpp"
#include "net/head.hpp"
#include "net/head_watch.hpp"
#include "net/node_state.hpp"
#include "net/object_store.hpp"
#include "net/pack.hpp"
#include "net/package_store.hpp"
#include "net/worker_environment.hpp"
#include "net/worker_processes.hpp"

namespace troupe::net {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds tick_interval{100};
constexpr std::chrono::milliseconds heartbeat_interval{1'000};
// Of what workers print: beyond it, lines for a driver that is slow to read are counted instead.
constexpr std::size_t most_output_bytes = std::size_t{4} << 20;

std::string any_port(const std::string& address) {
  return address.substr(0, address.rfind(':')) + ":0";
}

std::string host_of(const std::string& address) {
  const auto parts = parse_address(address);
  return parts ? parts->host : std::string();
}

}  // namespace

class node::implementation final : public endpoint_handler, public worker_watcher {
 public:
  explicit implementation(node_options options)
      : options_(std::move(options)), is_head_(options_.head_address.empty()) {}

  /// What may throw; apart from the constructor, so that the destructor takes back what was begun.
  void open() {
    ended_fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!ended_fd_) throw std::system_error(errno, std::generic_category(), "no eventfd");
    endpoint_options wanted;
    wanted.session_dir = options_.session_dir;
    wanted.listen_address = is_head_ ? any_port(options_.listen_address) : options_.listen_address;
    wanted.advertised_host = options_.advertised_host;
    wanted.cluster_key = options_.cluster_key;
    endpoint_ = std::make_unique<endpoint>(std::move(wanted), *this);
    if (options_.store_bytes > 0) {
      store_ = std::make_unique<object_store>(
          object_store_options{.node = options_.name,
                               .socket_path = store_socket(),
                               .capacity = options_.store_bytes,
                               .spill_dir = options_.spill_dir,
                               .patience = options_.store_patience,
                               .bulk_host = host_of(options_.listen_address),
                               .bulk_port = options_.bulk_port},
          *endpoint_);
    }
    processes_ = std::make_unique<worker_processes>(
        worker_logs{options_.session_dir + "/logs", options_.worker_log, options_.worker_logs},
        *this);
    self_ = endpoint_->self();
    peer head;
    if (is_head_) {
      own_head_ = std::make_unique<net::head>(
          head_options{.session_dir = options_.session_dir,
                       .listen_address = options_.listen_address,
                       .advertised_host = options_.advertised_host,
                       .cluster_key = options_.cluster_key,
                       .node = self_,
                       .silence = options_.silence,
                       .store = options_.head_store.empty() ? options_.session_dir + "/head.sqlite"
                                                            : options_.head_store,
                       .package_bytes = options_.package_bytes});
      head = own_head_->self();
      endpoint_->learn(head);
      head_ = head.remote;
    } else {
      head = endpoint_->resolve(options_.head_address, options_.join_timeout, endpoint::whom::head);
      head_ = options_.head_address;
    }
    std::future<std::string> joined = joined_.get_future();
    endpoint_->post([this, head] { begin(head); });
    if (joined.wait_for(options_.join_timeout) != std::future_status::ready) {
      throw connection_error("the head at " + head_ + " does not answer; look at its log");
    }
    if (const std::string refused = joined.get(); !refused.empty()) {
      throw connection_error("the head at " + head_ + " refused this node: " + refused);
    }
  }

  ~implementation() {
    if (endpoint_) {
      std::promise<void> silent;
      endpoint_->post([&] {
        shutting_ = true;
        packages_.reset();
        silent.set_value();
      });
      silent.get_future().wait();
      processes_.reset();
      store_.reset();
      endpoint_->flush(std::chrono::milliseconds(500));
      endpoint_.reset();
      if (own_head_ && finished_ && failure_.empty()) own_head_->forget_cluster();
      own_head_.reset();
    }
  }

  const peer& self() const noexcept { return self_; }
  const std::string& head() const noexcept { return head_; }
  const peer* own_head() const noexcept { return own_head_ ? &own_head_->self() : nullptr; }
  int ended_fd() const noexcept { return ended_fd_.get(); }
  std::string failure() const {
    const std::lock_guard guard(failure_mutex_);
    return failure_;
  }

  void stop() {
    endpoint_->post([this] {
      if (stopping_) return finish();
      begin_stop();
    });
  }

  // -- the endpoint's
  // ------------------------------------------------------------------------------

  void received(process_id from, message&& what) override {
    if (shutting_) return;
    if (!node_) {
      if (early_.size() < 10'000) early_.emplace_back(from, std::move(what));
      return;
    }
    if (from == node_->settings().head.id) head_watch_.heard(clock::now());
    try {
      dispatch(from, std::move(what));
    } catch (const error& e) {
      log::warn("dropped a message of process ", to_text(from), " that cannot be read: ", e.what());
    }
    carry_out();
  }

  void unreachable(process_id peer, const std::string& why) override {
    if (!node_ || shutting_) return;
    if (!is_head_ && peer == node_->settings().head.id) {
      return fail("the head at " + head_ + " cannot be reached any more: " + why);
    }
    if (store_) store_->cannot_reach(peer, "it cannot be reached: " + why);
    node_->process_gone(clock::now(), peer, "cannot be reached: " + why);
    carry_out();
  }

  void ended(process_id peer) override {
    if (shutting_) return;
    if (store_) store_->cannot_reach(peer, "its process has ended");
    // Its link goes, and would not be silent then.
    if (far_drivers_.contains(peer)) {
      node_->process_gone(clock::now(), peer, "its process has ended");
      carry_out();
    }
  }

  /// The head was started again: it knows what its store has, and learns the rest from its nodes.
  void renewed(const peer& who) override {
    if (!node_ || shutting_ || who.id != node_->settings().head.id) return;
    log::info("the head at ", head_, " was started again (life ", who.epoch,
              "): ", has_joined_ ? "this node returns to it" : "this node joins it");
    head_watch_.heard(clock::now());
    node_->head_renewed(clock::now(), who);
    carry_out();
    join(has_joined_);
    node_->say_again();
    carry_out();
    reported_version_ = 0;
  }

  // -- of the worker processes, on their thread ---------------------------------------------------

  void exited(const worker_exit& what) override {
    endpoint_->post([this, what] { worker_exited(what); });
  }

  void printed(std::uint64_t token, std::int64_t pid, bool error,
               std::vector<output_line> lines) override {
    std::size_t bytes = 0;
    for (const output_line& line : lines) bytes += line.name.size() + line.text.size();
    if (output_on_its_way_.load() > most_output_bytes) {
      const std::lock_guard guard(dropped_mutex_);
      dropped_[token] += lines.size();
      return;
    }
    output_on_its_way_ += bytes;
    endpoint_->post([this, token, pid, error, bytes, lines = std::move(lines)]() mutable {
      output_on_its_way_ -= bytes;
      forward(token, pid, error, std::move(lines));
    });
  }

  void driver_ended(process_id process) override {
    endpoint_->post([this, process] {
      if (shutting_) return;
      node_->process_gone(clock::now(), process, "its process has ended");
      carry_out();
    });
  }

 private:
  static std::string to_text(process_id id) { return std::to_string(id); }

  void begin(const peer& head) {
    node_settings settings;
    settings.self = self_;
    settings.head = head;
    settings.name = options_.name;
    settings.session_dir = options_.session_dir;
    if (store_) settings.store_socket = store_socket();
    settings.total = options_.total;
    settings.labels = options_.labels;
    settings.stop_grace = options_.stop_grace;
    settings.idle_after = options_.idle_after;
    node_ = std::make_unique<node_state>(std::move(settings));
    packages_ = std::make_unique<package_store>(
        *endpoint_,
        package_store_options{options_.session_dir + "/packages", options_.package_bytes,
                              options_.copies_only},
        self_.host, head.id);
    head_watch_.begin(head, clock::now());
    join(false);
    for (auto& [from, what] : std::exchange(early_, {})) received(from, std::move(what));
    tick();
  }

  void join(bool returning) {
    join_cluster hello;
    if (returning) hello = node_->describe();
    hello.returning = returning;
    hello.node = self_;
    hello.name = options_.name;
    hello.total = to_demand(options_.total);
    hello.labels = options_.labels;
    to_head(std::move(hello));
  }

  void tick() {
    if (shutting_) return;
    const auto now = clock::now();
    node_->tick(now);
    carry_out();
    if (has_joined_) {
      gpu_memory_news_ |=
          gpu_memory_.keep([this](process_id p) { return node_->is_registered(p); });
      const bool news = node_->report_version() != reported_version_ || gpu_memory_news_;
      if ((news || now - reported_ >= heartbeat_interval) && !TROUPE_FAULT("node.slow_heartbeat")) {
        reported_version_ = node_->report_version();
        reported_ = now;
        node_report report = node_->report();
        if (store_) report.store = store_->use();
        report.gpus = gpu_memory_.all();
        gpu_memory_news_ = false;
        to_head(std::move(report));
        carry_out();
      }
    }
    packages_->tick();
    look_at_far_drivers(now);
    if (!is_head_ && has_joined_) look_after_head(now);
    if (stopping_ && !finished_) {
      const bool alone = !own_head_ || own_head_->nodes() <= 1;
      const bool late = now - stopping_since_ > options_.stop_grace + std::chrono::seconds(2);
      if ((node_->workers() == 0 && alone) || late) finish();
    }
    endpoint_->post_at(now + tick_interval, [this] { tick(); });
  }

  void look_after_head(clock::time_point now) {
    const auto patience = fence_after(options_.silence);
    const bool is_linked = endpoint_->is_connected(node_->settings().head.id);
    switch (
        head_watch_.look(now, is_linked, patience, std::max(patience, options_.head_patience))) {
      case head_watch::finding::alive:
        return;
      case head_watch::finding::silent:
        // Before the head gives this node up.
        return fail("the head at " + head_ + " has been silent for " + seconds_text(patience) +
                    "; it hangs, or the network is broken");
      case head_watch::finding::just_died:
        return log::warn("the head at ", head_, " has ended: this node goes on, and waits ",
                         seconds_text(options_.head_patience), " for it to be started again");
      case head_watch::finding::stays_dead:
        return fail("the head at " + head_ + " has ended and was not started again within " +
                    seconds_text(options_.head_patience));
    }
  }

  /// Of a process of another machine only the link can tell that it is there: by acknowledging.
  void look_at_far_drivers(clock::time_point now) {
    std::erase_if(far_drivers_,
                  [this](const auto& entry) { return !node_->is_registered(entry.first); });
    std::vector<process_id> silent;
    for (auto& [id, of] : far_drivers_) {
      const std::size_t queued = endpoint_->queued_bytes(id);
      if (queued == 0 || queued < of.queued) of.heard = now;
      of.queued = queued;
      if (now - of.heard > options_.silence) silent.push_back(id);
      if (now - of.asked > heartbeat_interval) {
        of.asked = now;
        endpoint_->send(id, pack(ping{}));
        // Its own bytes must not look like progress.
        of.queued = endpoint_->queued_bytes(id);
      }
    }
    for (const process_id id : silent) {
      node_->process_gone(now, id, "its link was silent for " + seconds_text(options_.silence));
      carry_out();
    }
  }

  static std::string seconds_text(std::chrono::milliseconds time) {
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count()) + " s";
  }

  // -- messages -----------------------------------------------------------------------------------

  void dispatch(process_id from, message&& what) {
    switch (static_cast<kind>(what.kind)) {
      case kind::register_process: {
        const auto who = endpoint_->find(from);
        if (!who) return;
        return node_->received(clock::now(), *who, unpack<register_process>(what));
      }
      case kind::goodbye:
        return of_node<goodbye>(from, what);
      case kind::request_lease:
        return of_node<request_lease>(from, what);
      case kind::cancel_request:
        return of_node<cancel_request>(from, what);
      case kind::return_lease:
        return of_node<return_lease>(from, what);
      case kind::suspend_lease:
        return of_node<suspend_lease>(from, what);
      case kind::resume_lease:
        return of_node<resume_lease>(from, what);

      case kind::gpu_memory_used:
        if (!node_->is_registered(from)) return;
        gpu_memory_news_ |= gpu_memory_.set(from, unpack<gpu_memory_used>(what).devices);
        return;

      case kind::claim_value:
      case kind::drop_value:
      case kind::pull_value:
      case kind::value_source:
      case kind::open_channel:
      case kind::channel_offered:
      case kind::pull_chunk:
      case kind::value_chunk:
      case kind::end_pull:
      case kind::pull_ended:
      case kind::copy_dropped:
      case kind::drop_copy:
      case kind::ask_memory:
        if (store_) return store_->received(from, std::move(what));
        return refuse_value(from, what);

      case kind::process_died:
        return from_head<process_died>(from, what);
      case kind::job_started:
        return from_head<job_started>(from, what);
      case kind::job_ended:
        return from_head<job_ended>(from, what);
      case kind::cluster_view:
        return from_head<cluster_view>(from, what);
      case kind::joined:
        if (from == node_->settings().head.id) join_answered(unpack<joined>(what));
        return;
      case kind::prepare_bundles:
        return from_head<prepare_bundles>(from, what);
      case kind::commit_bundles:
        return from_head<commit_bundles>(from, what);
      case kind::drop_bundles:
        return from_head<drop_bundles>(from, what);
      case kind::stop_node:
        log::info("told to stop");
        return begin_stop();
      case kind::ping:
        return;  // that the link acknowledges it is what a worker wants to know
      case kind::package_wanted:
        return packages_->on(from, unpack<package_wanted>(what));
      case kind::package_piece:
        return packages_->on(from, unpack<package_piece>(what), what);
      default:
        log::warn("dropped a message of kind ", what.kind, ", which is not for a node");
    }
  }

  template <class T>
  void of_node(process_id from, const message& what) {
    node_->received(clock::now(), from, unpack<T>(what));
  }
  template <class T>
  void from_head(process_id from, const message& what) {
    if (from == node_->settings().head.id) to_node(from, unpack<T>(what));
  }

  template <class T>
  void to_node(process_id from, T what) {
    if constexpr (std::is_same_v<T, process_died>) {
      if (what.process == self_.id) return;
      if (store_) store_->process_gone(what.process, what.cause);
    }
    node_->received(clock::now(), from, std::move(what));
  }

  void join_answered(const joined& answer) {
    if (!has_joined_) {
      has_joined_ = answer.refused.empty();
      if (!std::exchange(join_answered_, true)) joined_.set_value(answer.refused);
      return;
    }
    if (answer.returning) {
      node_->received(clock::now(), node_->settings().head.id, answer);
      return carry_out();
    }
    if (!answer.refused.empty() && !stopping_) fail("the head says: " + answer.refused);
  }

  // -- effects ------------------------------------------------------------------------------------

  template <class T>
  void to_head(T what) {
    endpoint_->send(node_->settings().head.id, pack(std::move(what)));
  }

  void carry_out() {
    for (bool more = true; more;) {
      more = false;
      for (node_effect& effect : node_->take_effects()) {
        more = true;
        std::visit([this](auto& e) { act(e); }, effect);
      }
    }
  }

  void act(send_from_node& e) {
    std::visit(
        [&](auto& what) {
          if constexpr (std::is_same_v<std::decay_t<decltype(what)>, process_died>) {
            if (store_) store_->process_gone(what.process, what.cause);
          }
          deliver(e.to, pack(std::move(what)));
        },
        e.what);
  }

  void deliver(process_id to, message what) {
    if (!endpoint_->send(to, std::move(what))) {
      log::debug("a message to process ", to_text(to), " was dropped: it is gone");
    }
  }

  void act(start_worker& e) {
    endpoint_->learn(e.driver);
    preparing_.insert(e.token);
    packages_->prepare(e.token, *e.program, e.driver, e.surroundings,
                       [this, e](const worker_files& files) { start_prepared(e, files); });
  }
  void start_prepared(const start_worker& e, const worker_files& files) {
    if (preparing_.erase(e.token) == 0) return;
    const auto now = clock::now();
    if (!files.failed.empty()) {
      packages_->release(e.token);
      node_->worker_impossible(now, e.token,
                               "the program " + e.program->executable +
                                   ", or its environment, could not be fetched: " + files.failed);
    } else {
      node_->worker_begins(now, e.token);
      processes_->start(
          make_worker_program(e, {self_, options_.session_dir, options_.key_file, files.executable,
                                  files.environment, fence_after(options_.silence)}));
    }
    carry_out();
  }
  void act(kill_worker& e) {
    if (preparing_.erase(e.token) == 0) return processes_->kill(e.token);
    endpoint_->post([this, token = e.token] {
      if (!shutting_) worker_exited({token, 0, "it was ended before it began", true, {}});
    });
  }
  void act(watch_driver& e) {
    if (e.pid != 0) return processes_->watch_driver(e.process, e.pid);
    far_drivers_[e.process] = {0, clock::now(), clock::now()};
  }
  void act(forget_process& e) {
    if (const auto who = endpoint_->find(e.process)) remove_socket(who->local);
    endpoint_->forget(e.process);
    packages_->process_gone(e.process);
  }
  void act(say& e) { log::write(e.level, e.text); }

  /// A process that was killed leaves the file of its socket.
  void remove_socket(const std::string& path) const {
    const std::string& folder = options_.session_dir;
    if (path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 &&
        path.find("..") == std::string::npos) {
      ::unlink(path.c_str());
    }
  }

  // -- the object store ---------------------------------------------------------------------------

  std::string store_socket() const { return options_.session_dir + "/store"; }

  /// Without a store nothing of another node's can be read here, and nobody can have told of one.
  void refuse_value(process_id from, const message& what) {
    if (static_cast<kind>(what.kind) == kind::ask_memory) {
      memory_use nothing;
      nothing.node = options_.name;
      endpoint_->send(from, pack(std::move(nothing)));
    }
    if (static_cast<kind>(what.kind) != kind::pull_value) return;
    value_source none;
    none.value = unpack<pull_value>(what).value;
    none.refused = "node '" + options_.name + "' has no object store";
    endpoint_->send(from, pack(std::move(none)));
  }

  // -- workers ------------------------------------------------------------------------------------

  void worker_exited(const worker_exit& what) {
    if (shutting_) return;
    {
      const std::lock_guard guard(dropped_mutex_);
      dropped_.erase(what.token);
    }
    packages_->release(what.token);
    node_->worker_exited(clock::now(), what.token, what.cause, what.in_order, what.last_lines);
    carry_out();
  }

  void forward(std::uint64_t token, std::int64_t pid, bool error, std::vector<output_line> lines) {
    if (shutting_) return;
    const process_id driver = node_->driver_of(token);
    if (driver == 0) return;
    std::uint64_t lost = 0;
    {
      const std::lock_guard guard(dropped_mutex_);
      const auto counted = dropped_.find(token);
      if (endpoint_->queued_bytes(driver) > most_output_bytes) {
        dropped_[token] += lines.size();
        return;
      }
      if (counted != dropped_.end()) {
        lost = counted->second;
        dropped_.erase(counted);
      }
    }
    worker_output packed{pid, options_.name, error, {}};
    // What nobody has put a name to: a thread of the user's, a child process, main before init.
    const std::string unnamed = node_->program_of(token);
    if (lost > 0) {
      packed.lines.push_back({unnamed, "[" + std::to_string(lost) +
                                           " lines were left out: they came faster than they could "
                                           "be sent; the node's log folder has them]"});
    }
    for (output_line& line : lines) {
      if (line.name.empty()) line.name = unnamed;
      packed.lines.push_back({std::move(line.name), std::move(line.text)});
    }
    endpoint_->send(driver, pack(std::move(packed)));
  }

  // -- the end ------------------------------------------------------------------------------------

  void begin_stop() {
    if (stopping_) return;
    stopping_ = true;
    stopping_since_ = clock::now();
    if (own_head_) own_head_->stop_others();
    node_->shut_down(stopping_since_);
    carry_out();
  }

  void finish() {
    if (finished_) return;
    finished_ = true;
    node_->say_goodbye();
    carry_out();
    tell_ended();
  }

  void fail(const std::string& why) {
    if (stopping_) return;
    log::error(why);
    {
      const std::lock_guard guard(failure_mutex_);
      failure_ = why;
    }
    begin_stop();
    // At once: the cluster holds what runs here for dead, and may have begun it anew elsewhere.
    finish();
  }

  void tell_ended() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(ended_fd_.get(), &one, sizeof(one));
  }

  const node_options options_;
  std::unique_ptr<endpoint> endpoint_;
  std::atomic<bool> shutting_{false};
  std::atomic<std::size_t> output_on_its_way_{0};
  std::mutex dropped_mutex_;
  std::map<std::uint64_t, std::uint64_t> dropped_;  // lines by token; guarded by dropped_mutex_
  std::unique_ptr<net::head> own_head_;
  std::unique_ptr<object_store> store_;
  std::unique_ptr<worker_processes> processes_;
  const bool is_head_;
  peer self_;
  std::string head_;
  core::descriptor ended_fd_;
  std::promise<std::string> joined_;
  mutable std::mutex failure_mutex_;
  std::string failure_;  // guarded by failure_mutex_

  // Of the endpoint's thread.
  std::unique_ptr<node_state> node_;
  std::unique_ptr<package_store> packages_;
  std::set<std::uint64_t> preparing_;  // tokens of workers whose files are not there yet
  std::vector<std::pair<process_id, message>> early_;
  bool has_joined_ = false;
  bool join_answered_ = false;
  bool stopping_ = false;
  bool finished_ = false;
  clock::time_point stopping_since_{};
  head_watch head_watch_;
  struct far_driver {
    std::size_t queued = 0;  ///< bytes that it had not acknowledged when looked at last
    clock::time_point heard{};
    clock::time_point asked{};
  };
  std::map<process_id, far_driver> far_drivers_;
  clock::time_point reported_{};
  std::uint64_t reported_version_ = 0;
  gpu_memory_table gpu_memory_;
  bool gpu_memory_news_ = false;  ///< of which the head has not heard
};

node::node(node_options options) : impl_(std::make_unique<implementation>(std::move(options))) {
  impl_->open();
}
node::~node() = default;

const peer& node::self() const noexcept { return impl_->self(); }
const std::string& node::head() const noexcept { return impl_->head(); }
const peer* node::own_head() const noexcept { return impl_->own_head(); }
void node::stop() { impl_->stop(); }
int node::ended_fd() const noexcept { return impl_->ended_fd(); }
std::string node::failure() const { return impl_->failure(); }

}  // namespace troupe::net
