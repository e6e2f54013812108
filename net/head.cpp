#include "net/head.hpp"

#include <atomic>
#include <ctime>
#include <deque>
#include <future>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "core/fault.hpp"
#include "net/control_state.hpp"
#include "net/control_store.hpp"
#include "net/detached_actors.hpp"
#include "net/listener_watch.hpp"
#include "net/pack.hpp"
#include "net/package_store.hpp"

namespace troupe::net {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds tick_interval{100};

/// A head that is to be killed at a step of an actor's creation.
void before_sending(std::uint16_t what) {
  switch (static_cast<kind>(what)) {
    case kind::request_lease:
      if (TROUPE_FAULT("head.exit_before_asking_lease")) core::exit_by_fault();
      break;
    case kind::create_actor:
      if (TROUPE_FAULT("head.exit_before_creation")) core::exit_by_fault();
      break;
    case kind::actor_at:
      if (TROUPE_FAULT("head.exit_before_publishing")) core::exit_by_fault();
      break;
    case kind::name_reply:
      if (TROUPE_FAULT("head.exit_before_reply")) core::exit_by_fault();
      break;
    default:
      break;
  }
}

void after_sending(std::uint16_t what) {
  switch (static_cast<kind>(what)) {
    case kind::create_actor:
      if (TROUPE_FAULT("head.exit_after_creation")) core::exit_by_fault();
      break;
    case kind::name_reply:
      if (TROUPE_FAULT("head.exit_after_reply")) core::exit_by_fault();
      break;
    default:
      break;
  }
}

std::uint64_t draw_id() {
  std::random_device random;
  std::uint64_t id = 0;
  while (id == 0) id = std::uint64_t{random()} << 32 | random();
  return id;
}

/// What the store knows of the head itself.
struct identity {
  process_id cluster = 0;
  std::uint32_t life = 0;
  std::string address;
};

identity read_identity(const control_store& store) {
  identity known;
  for (const store_row& one : store.rows(store_table::meta)) {
    if (one.key == "cluster") known.cluster = detail::decode<process_id>(one.body);
    if (one.key == "life") known.life = detail::decode<std::uint32_t>(one.body);
    if (one.key == "address") known.address = detail::decode<std::string>(one.body);
  }
  return known;
}

/// An address of port 0 has that of the earlier life, where nodes and programs look.
std::string address_again(const std::string& wanted, const std::string& earlier) {
  const std::size_t colon = wanted.rfind(':');
  const std::size_t port = earlier.rfind(':');
  if (port == std::string::npos || wanted.substr(colon + 1) != "0") return wanted;
  return wanted.substr(0, colon) + earlier.substr(port);
}

}  // namespace

/// On its endpoint's thread but for what says otherwise.
class head::implementation final : public endpoint_handler, public detached_host {
 public:
  explicit implementation(head_options options) : options_(std::move(options)) {}

  void open() {
    stored_cluster known;
    store_ = std::make_unique<control_store>(options_.store);
    identity mine = read_identity(*store_);
    known = store_->read();
    if (mine.cluster == 0) mine.cluster = draw_id();
    known.life = ++mine.life;
    endpoint_options wanted;
    wanted.id = mine.cluster;
    wanted.epoch = mine.life;
    wanted.session_dir = options_.session_dir;
    wanted.listen_address = address_again(options_.listen_address, mine.address);
    wanted.advertised_host = options_.advertised_host;
    wanted.cluster_key = options_.cluster_key;
    wanted.front = options_.node;
    // No life is given twice: it is stored before anybody can hear of it.
    store_->commit(
        {put_row(store_table::meta, "cluster", key_of(mine.cluster), mine.cluster, true),
         put_row(store_table::meta, "life", std::to_string(mine.life), mine.life, true)});
    endpoint_ = std::make_unique<endpoint>(std::move(wanted), *this);
    store_->commit({put_row(store_table::meta, "address", endpoint_->self().remote,
                            endpoint_->self().remote, true)});
    self_ = endpoint_->self();
    writer_ = std::make_unique<store_writer>(*store_);
    std::promise<void> begun;
    endpoint_->post([&] {
      begin(std::move(known));
      begun.set_value();
    });
    begun.get_future().wait();
  }

  ~implementation() {
    if (endpoint_) {
      std::promise<void> silent;
      endpoint_->post([&] {
        shutting_ = true;
        packages_.reset();
        listeners_.reset();
        silent.set_value();
      });
      silent.get_future().wait();
    }
    writer_.reset();
    if (forgets_) {
      try {
        // What a failure to remove the files would leave is of no cluster any more.
        store_->clear();
        store_.reset();
        control_store::remove(options_.store);
      } catch (const store_error& e) {
        log::error(e.what(), "; the next head that is started with it takes up this cluster");
      }
    }
    if (endpoint_) endpoint_->flush(std::chrono::milliseconds(500));
    endpoint_.reset();  // its thread may still be in one of the parts below
    detached_.reset();
  }

  const peer& self() const noexcept { return self_; }
  std::size_t nodes() const { return nodes_.load(); }
  void forget_cluster() { forgets_ = true; }
  void stop_others() {
    endpoint_->post([this] {
      for (const process_id other : control_->nodes()) {
        if (other != options_.node.id) endpoint_->send(other, pack(stop_node{}));
      }
    });
  }

  // -- the endpoint's -----------------------------------------------------------------------------

  void received(process_id from, message&& what) override {
    if (shutting_) return;
    if (!control_) {
      if (early_.size() < 10'000) early_.emplace_back(from, std::move(what));
      return;
    }
    try {
      dispatch(from, std::move(what));
    } catch (const error& e) {
      log::warn("dropped a message of process ", from, " that cannot be read: ", e.what());
    }
    carry_out();
  }

  void unreachable(process_id peer, const std::string& why) override {
    if (!control_ || shutting_) return;
    control_->node_gone(clock::now(), peer, "cannot be reached: " + why, false);
    carry_out();
  }

  /// The daemon of a node of this machine was killed: no need to wait for its silence.
  void ended(process_id peer) override {
    if (!control_ || shutting_ || !control_->is_node(peer)) return;
    control_->node_gone(clock::now(), peer, "its daemon has ended", false);
    carry_out();
  }

  // -- of detached_host ---------------------------------------------------------------------------

  bool deliver(process_id to, message&& what) override {
    if (to != self_.id && !endpoint_->find(to)) return false;
    batch_.sends.emplace_back(to, std::move(what));
    // Some of it is sent outside of what this class does.
    if (!closing_later_) {
      closing_later_ = true;
      endpoint_->post([this] {
        closing_later_ = false;
        if (!shutting_) carry_out();
      });
    }
    return true;
  }
  void keep(store_change what) override { batch_.changes.push_back(std::move(what)); }
  void ask_name(register_name what) override {
    control_->received(clock::now(), self_.id, std::move(what));
  }
  void hold_job(job_id job, bool held) override {
    held ? control_->hold_job(job) : control_->release_job(clock::now(), job);
  }

 private:
  /// What is sent once what was changed is stored.
  struct batch {
    std::vector<store_change> changes;
    std::vector<std::pair<process_id, message>> sends;
    std::vector<process_id> forgotten;
  };

  void begin(stored_cluster known) {
    control_settings settings;
    settings.self = self_;
    settings.own_node = options_.node.id;
    settings.node_timeout = options_.silence;
    settings.life = known.life;
    settings.life_began = std::time(nullptr);
    control_ = std::make_unique<control_state>(settings);
    packages_ = std::make_unique<package_store>(
        *endpoint_,
        package_store_options{options_.session_dir + "/head-packages", options_.package_bytes,
                              false},
        self_.host, self_.id);
    listeners_ = std::make_unique<listener_watch>(
        [this](process_id id) { endpoint_->post([this, id] { node_ended(id); }); });
    detached_ = std::make_unique<detached_actors>(*endpoint_, options_.node, *this);
    endpoint_->learn(options_.node);
    auto actors = std::move(known.actors);
    const auto lives = std::move(known.lives);
    const std::uint32_t life = known.life;
    control_->recover(clock::now(), std::move(known), actors);
    detached_->recover(life, std::move(actors), lives);
    carry_out();
    for (auto& [from, what] : std::exchange(early_, {})) received(from, std::move(what));
    tick();
  }

  /// Nothing listens any more where a node did: its daemon has ended.
  void node_ended(process_id id) {
    if (shutting_ || !control_->is_node(id)) return;
    control_->node_gone(clock::now(), id, "its daemon has ended: nothing listens at its address",
                        false);
    carry_out();
  }

  void tick() {
    if (shutting_) return;
    const auto now = clock::now();
    control_->tick(now);
    listeners_->look_for(control_->quiet_nodes(now));
    carry_out();
    packages_->tick();
    endpoint_->post_at(clock::now() + tick_interval, [this] { tick(); });
  }

  // -- messages -----------------------------------------------------------------------------------

  template <class T>
  void to_control(process_id from, const message& what) {
    control_->received(clock::now(), from, unpack<T>(what));
  }

  void dispatch(process_id from, message&& what) {
    switch (static_cast<kind>(what.kind)) {
      case kind::join_cluster:
        return to_control<join_cluster>(from, what);
      case kind::node_report:
        return to_control<node_report>(from, what);
      case kind::process_joined:
        return to_control<process_joined>(from, what);
      case kind::ask_view:
        return to_control<ask_view>(from, what);
      case kind::process_died:
        return to_control<process_died>(from, what);
      case kind::job_started:
        return to_control<job_started>(from, what);
      case kind::job_ended:
        return to_control<job_ended>(from, what);
      case kind::register_name:
        return to_control<register_name>(from, what);
      case kind::find_name:
        return to_control<find_name>(from, what);
      case kind::release_name:
        return to_control<release_name>(from, what);
      case kind::ask_status:
        return to_control<ask_status>(from, what);
      case kind::create_group:
        return to_control<create_group>(from, what);
      case kind::remove_group:
        return to_control<remove_group>(from, what);
      case kind::ask_group:
        return to_control<ask_group>(from, what);
      case kind::bundles_prepared:
        return to_control<bundles_prepared>(from, what);
      case kind::bundles_dropped:
        return to_control<bundles_dropped>(from, what);
      case kind::cancel_request:
        return to_control<cancel_request>(from, what);
      case kind::request_lease: {
        auto wanted = unpack<request_lease>(what);
        if (wanted.group) return control_->received(clock::now(), from, std::move(wanted));
        return log::warn("dropped a request for a lease, which the head does not have");
      }
      case kind::ping:
      case kind::goodbye:
        return;
      case kind::package_wanted:
        return packages_->on(from, unpack<package_wanted>(what));
      case kind::package_piece:
        return packages_->on(from, unpack<package_piece>(what), what);
      case kind::adopt_actor:
        keep_for(unpack<adopt_actor>(what));
        [[fallthrough]];
      default:
        return detached_->received(from, std::move(what));
    }
  }

  /// A detached actor may begin anew when its program is gone: the head has what it needs.
  void keep_for(const adopt_actor& order) {
    const job_started* const job = control_->find_job(order.job);
    if (job != nullptr) packages_->keep(job->process, job->driver, order.lease.surroundings);
  }

  // -- effects ------------------------------------------------------------------------------------

  void carry_out() {
    for (bool more = true; more;) {
      more = false;
      for (control_effect& effect : control_->take_effects()) {
        more = true;
        std::visit([this](auto& e) { act(e); }, effect);
      }
    }
    nodes_.store(control_->nodes().size());
    if (batch_.changes.empty() && batch_.sends.empty() && batch_.forgotten.empty()) return;
    batch now = std::exchange(batch_, {});
    // What follows from nothing that is being stored need not wait.
    if (now.changes.empty() && held_.empty()) return release(now);
    auto changes = std::move(now.changes);
    held_.push_back(std::move(now));
    writer_->commit(std::move(changes), [this] {
      endpoint_->post([this] {
        if (shutting_) return;
        const batch stored = std::move(held_.front());
        held_.pop_front();
        release(stored);
      });
    });
  }

  void release(const batch& stored) {
    for (const auto& [to, what] : stored.sends) {
      before_sending(what.kind);
      if (!endpoint_->send(to, what)) {
        log::debug("a message to process ", to, " was dropped: it is gone");
      }
      after_sending(what.kind);
    }
    for (const process_id gone : stored.forgotten) {
      endpoint_->forget(gone);
      packages_->process_gone(gone);
    }
  }

  void act(send_from_control& e) {
    std::visit(
        [&](auto& what) {
          using T = std::decay_t<decltype(what)>;
          if constexpr (std::is_same_v<T, name_reply>) {
            if (e.to == self_.id) return detached_->named(what);
          }
          if constexpr (std::is_same_v<T, joined>) {
            if (what.returning) what.leases = detached_->leases_of(e.to);
          }
          if constexpr (std::is_same_v<T, status>) what.store_problem = writer_->problem();
          if (e.at_once) {
            endpoint_->send(e.to, pack(std::move(what)));
          } else {
            batch_.sends.emplace_back(e.to, pack(std::move(what)));
          }
        },
        e.what);
  }
  void act(keep_row& e) { keep(std::move(e.what)); }
  void act(process_over& e) { detached_->process_died(e.what); }
  void act(node_back& e) {
    for (const process_id one : e.processes) detached_->process_back(one);
  }
  void act(recovery_over& e) { detached_->recovery_over(e.processes); }
  void act(forget_process& e) { batch_.forgotten.push_back(e.process); }
  void act(say& e) { log::write(e.level, e.text); }

  const head_options options_;
  peer self_;
  std::atomic<bool> shutting_{false};
  std::atomic<bool> forgets_{false};
  std::atomic<std::size_t> nodes_{0};
  std::unique_ptr<control_store> store_;
  std::unique_ptr<store_writer> writer_;
  std::unique_ptr<endpoint> endpoint_;

  // Of the endpoint's thread.
  std::unique_ptr<control_state> control_;
  std::unique_ptr<package_store> packages_;
  std::unique_ptr<listener_watch> listeners_;
  std::unique_ptr<detached_actors> detached_;
  std::vector<std::pair<process_id, message>> early_;
  batch batch_;             ///< of what happens now
  std::deque<batch> held_;  ///< until they are stored
  bool closing_later_ = false;
};

head::head(head_options options) : impl_(std::make_unique<implementation>(std::move(options))) {
  impl_->open();
}
head::~head() = default;

const peer& head::self() const noexcept { return impl_->self(); }
void head::stop_others() { impl_->stop_others(); }
std::size_t head::nodes() const { return impl_->nodes(); }
void head::forget_cluster() { impl_->forget_cluster(); }

}  // namespace troupe::net
