#include "net/cluster.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "actors/local_actor.hpp"
#include "core/node_name.hpp"
#include "net/demand.hpp"
#include "net/failures.hpp"
#include "net/introduction.hpp"
#include "net/session_files.hpp"

namespace troupe::net {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto register_timeout = std::chrono::seconds(20);
constexpr auto node_watch_period = std::chrono::seconds(1);
constexpr auto head_retry_period = std::chrono::seconds(1);

endpoint_options options_for(const cluster_address& at, const config& settings) {
  endpoint_options options;
  options.max_queued_bytes = settings.max_queued_bytes;
  options.session_dir = at.session_dir;
  options.listen_address = at.listen;
  options.cluster_key = at.cluster_key;
  return options;
}

}  // namespace

cluster::cluster(core::runtime& runtime, const cluster_address& at, register_process introduction)
    : here_(&runtime),
      head_questions_(here_),
      output_(runtime.settings.dedup_output),
      environments_(runtime.settings.package_max_bytes) {
  here_.surroundings = &environments_;
  here_.is_worker = introduction.role == process_role::worker;
  node_folder_ = at.node_folder;
  values_ = std::make_shared<value_store>(here_, runtime.settings.max_lineage_bytes);
  objects_ = std::make_unique<object_sharing>(here_);
  desk_ = std::make_unique<lease_desk>(here_);
  owner_ = std::make_unique<task_owner>(here_, *desk_);
  executor_ = std::make_unique<task_executor>(here_);
  manager_ = std::make_unique<actor_manager>(here_, *desk_, *objects_);
  directory_ = std::make_unique<actor_directory>(here_, *objects_);
  host_ = std::make_unique<actor_host>(here_, *executor_);
  auto groups = std::make_unique<cluster_groups>(here_);
  groups_ = groups.get();
  runtime.groups = std::move(groups);
  directory_->kill_owned = [this](std::uint64_t actor, exit_reason reason, const std::string& text,
                                  bool may_restart) {
    manager_->kill(actor, reason, text, may_restart);
  };
  net_ = std::make_unique<endpoint>(options_for(at, runtime.settings), *this);
  here_.net = net_.get();
  if (at.node.id != 0) {
    here_.node = at.node;
    here_.net->learn(at.node);
  } else {
    here_.node = here_.net->resolve(at.node.remote, std::chrono::milliseconds(register_timeout));
  }
  if (!here_.is_worker) {
    describe_executable(introduction, environments_.shelf());
    const std::string id = environments_.prepare(runtime.settings.runtime_env);
    if (!id.empty()) introduction.surroundings = here_.surroundings_for(id);
  }
  core::set_sharing(this);
  here_.send(here_.node.id, std::move(introduction));
  std::unique_lock guard(mutex_);
  const bool answered = changed_.wait_for(
      guard, register_timeout, [this] { return registration_.has_value() || !ended_.empty(); });
  std::string refused;
  if (!answered) {
    refused = "the node did not answer within " + std::to_string(register_timeout.count()) +
              " s; see 'troupe status'";
  } else if (!registration_) {
    refused = ended_;
  } else {
    refused = registration_->refused;
  }
  if (!refused.empty()) {
    guard.unlock();
    core::set_sharing(nullptr);
    closed_.store(true);
    net_.reset();
    throw connection_error("troupe::init: cannot join the cluster by its node at " +
                           (at.node.remote.empty() ? at.node.local : at.node.remote) + ": " +
                           refused);
  }
  here_.job = registration_->job;
  here_.head = registration_->head;
  here_.driver = registration_->driver;
  here_.node_name = registration_->node_name;
  here_.own_surroundings = registration_->surroundings;
  core::set_node_name(here_.node_name);
  here_.net->learn(here_.head);
  try {
    values_->open(registration_->store_socket, runtime.settings.max_inline_bytes);
  } catch (...) {
    guard.unlock();
    core::set_sharing(nullptr);
    closed_.store(true);
    values_->close();
    net_.reset();
    throw;
  }
}

cluster::~cluster() {
  if (core::find_sharing() == this) core::set_sharing(nullptr);
  gpu_memory_.reset();
  values_->close();
  const std::string socket = here_.net->self().local;
  closed_.store(true);
  net_.reset();  // its thread may still be in one of the functions below
  std::error_code none;
  std::filesystem::remove(socket, none);
}

void cluster::serve() {
  std::unique_lock guard(mutex_);
  changed_.wait(guard, [this] { return !ended_.empty(); });
}

void cluster::leave(std::chrono::milliseconds patience) noexcept {
  try {
    manager_->end_all();
    owner_->abandon_all();
    directory_->abandon_all("this process has left the cluster");
    groups_->abandon_all("this process has left the cluster");
    bool lost = false;
    {
      const std::lock_guard guard(mutex_);
      lost = node_lost_;
    }
    if (!lost) {
      here_.send(here_.node.id, goodbye{});
      here_.net->flush(std::min(patience, std::chrono::milliseconds(2'000)));
    }
    output_.finish();
  } catch (const std::exception& e) {
    log::error("leaving the cluster: ", e.what());
  }
}

void cluster::end(const std::string& why) {
  const std::lock_guard guard(mutex_);
  if (ended_.empty()) ended_ = why;
  changed_.notify_all();
}

// -- messages -------------------------------------------------------------------------------------

void cluster::start() {
  here_.net->post([this] {
    started_ = true;
    for (auto& [from, what] : std::exchange(early_, {})) received(from, std::move(what));
    if (!node_folder_.empty()) watch_node();
    if (const char* const text = std::getenv("TROUPE_WORKER_FENCE_MS"); here_.is_worker && text) {
      fence_.after = std::chrono::milliseconds(std::strtoll(text, nullptr, 10));
      fence_.heard = fence_.looked = clock::now();
      if (fence_.after.count() > 0) watch_fence();
    }
  });
  here_.net->share_reading();
  gpu_memory_ = std::make_unique<gpu_memory_reports>(here_);
}

void cluster::watch_node() {
  if (closed_.load()) return;
  if (!node_runs(node_folder_)) {
    unreachable(here_.node.id, "its daemon has ended; see the log in " + node_folder_);
    return;
  }
  here_.net->post_at(clock::now() + node_watch_period, [this] { watch_node(); });
}

void cluster::watch_fence() {
  if (closed_.load()) return;
  const auto period = fence_.after / 8;
  const auto now = clock::now();
  const std::size_t queued = here_.net->queued_bytes(here_.node.id);
  // What this process slept through says nothing of its node.
  const bool slept = now - fence_.looked > 4 * period;
  if (queued == 0 || queued < fence_.queued || slept) fence_.heard = now;
  if (now - fence_.heard > fence_.after) {
    log::error("this worker's node has given no sign for ",
               std::chrono::duration_cast<std::chrono::milliseconds>(now - fence_.heard).count(),
               " ms: the worker ends, for its work may be begun anew elsewhere");
    std::_Exit(EXIT_FAILURE);
  }
  if (queued == 0) here_.send(here_.node.id, ping{});
  fence_.looked = now;
  fence_.queued = here_.net->queued_bytes(here_.node.id);
  here_.net->post_at(now + period, [this] { watch_fence(); });
}

void cluster::received(process_id from, message&& what) {
  if (closed_.load()) return;
  if (!started_ && static_cast<kind>(what.kind) != kind::registered) {
    early_.emplace_back(from, std::move(what));
    return;
  }
  const auto kind_of = what.kind;
  const no_store_scope on_this_thread;
  try {
    handle(from, std::move(what));
  } catch (const std::exception& e) {
    log::warn("a message of kind ", kind_of, " from process ", from, " is not used: ", e.what());
  }
}

void cluster::handle(process_id from, message&& what) {
  switch (static_cast<kind>(what.kind)) {
    case kind::registered: {
      const std::lock_guard guard(mutex_);
      registration_ = unpack<registered>(what);
      changed_.notify_all();
      break;
    }
    case kind::process_died: {
      const auto died = unpack<process_died>(what);
      process_gone(died.process, died.cause);
      break;
    }
    case kind::end_process:
      end("its node wants it to end");
      break;
    case kind::worker_output:
      output_.on(*here_.net, unpack<worker_output>(what));
      break;
    case kind::lease_granted:
      desk_->on(from, unpack<lease_granted>(what));
      break;
    case kind::lease_refused:
      desk_->on(from, unpack<lease_refused>(what));
      break;
    case kind::lease_redirected:
      desk_->on(from, unpack<lease_redirected>(what));
      break;
    case kind::lease_revoked: {
      const auto news = unpack<lease_revoked>(what);
      owner_->on(from, news);
      manager_->on(from, news);
      break;
    }
    case kind::group_reply:
      groups_->on(from, unpack<group_reply>(what));
      break;
    case kind::open_lease:
      executor_->on(from, unpack<open_lease>(what));
      break;
    case kind::close_lease:
      executor_->on(from, unpack<close_lease>(what));
      break;
    case kind::lease_resumed:
      executor_->on(from, unpack<lease_resumed>(what));
      break;
    case kind::run_task: {
      auto order = unpack<run_task>(what);
      executor_->on(from, std::move(order), std::move(what));
      break;
    }
    case kind::task_done:
      owner_->on(from, unpack<task_done>(what), what);
      break;
    case kind::task_returned:
      owner_->on(from, unpack<task_returned>(what));
      break;
    case kind::cancel_task: {
      const auto order = unpack<cancel_task>(what);
      executor_->cancel(from, order.task, order.recursive);
      break;
    }
    case kind::cancel_call: {
      const auto order = unpack<cancel_call>(what);
      executor_->cancel(from, order.call, order.recursive);
      break;
    }
    case kind::stream_item: {
      const auto item = unpack<stream_item>(what);
      owner_->on(from, item, what);
      directory_->on_item(from, item, what);
      break;
    }
    case kind::stream_consumed:
      executor_->on(from, unpack<stream_consumed>(what));
      break;
    case kind::object_wanted:
      objects_->on(from, unpack<object_wanted>(what));
      break;
    case kind::object_value:
      objects_->on(from, unpack<object_value>(what), what);
      break;
    case kind::refs_changed:
      objects_->on(from, unpack<refs_changed>(what));
      break;
    case kind::cancel_object: {
      const auto order = unpack<cancel_object>(what);
      objects_->cancel_lent(order.object, order.recursive);
      break;
    }
    case kind::value_source:
      values_->on(unpack<value_source>(what));
      break;
    case kind::value_chunk:
      values_->on(from, unpack<value_chunk>(what), what);
      break;
    case kind::rebuild_value:
      values_->rebuilder().on(from, unpack<rebuild_value>(what));
      break;
    case kind::value_rebuilt:
      values_->rebuilder().on(unpack<value_rebuilt>(what));
      break;
    case kind::create_actor:
      host_->on(from, unpack<net::create_actor>(what), what);
      break;
    case kind::actor_created:
      manager_->on(from, unpack<actor_created>(what));
      break;
    case kind::call_actor:
      host_->on(from, unpack<call_actor>(what), what);
      break;
    case kind::call_done:
      directory_->on(from, unpack<call_done>(what), what);
      break;
    case kind::end_actor:
      host_->on(from, unpack<end_actor>(what));
      break;
    case kind::actor_ended:
      manager_->on(from, unpack<actor_ended>(what));
      break;
    case kind::locate_actor:
      manager_->on(from, unpack<locate_actor>(what));
      break;
    case kind::actor_at:
      directory_->on(from, unpack<actor_at>(what));
      break;
    case kind::kill_actor:
      manager_->on(from, unpack<kill_actor>(what));
      break;
    case kind::name_reply:
      head_questions_.on(unpack<name_reply>(what));
      break;
    case kind::status:
      head_questions_.on(unpack<status>(what));
      break;
    case kind::package_wanted:
      environments_.shelf().on(*here_.net, from, unpack<package_wanted>(what));
      break;
    case kind::ping:
      break;  // that it came is what the node wants to know
    default:
      log::warn("a message of kind ", what.kind, " from process ", from, " is for a node");
  }
}

void cluster::unreachable(process_id peer, const std::string& why) {
  if (closed_.load()) return;
  if (peer == here_.head.id) {
    // It may be started again; whether it is gone for good, this process's node knows.
    here_.net->post_at(clock::now() + head_retry_period, [this] {
      if (closed_.load()) return;
      here_.net->learn(here_.head);
      tell_head_again();
    });
    return;
  }
  if (peer == here_.node.id) {
    {
      const std::lock_guard guard(mutex_);
      node_lost_ = true;
    }
    end("its node cannot be reached: " + why);
  }
  process_gone(peer, why);
}

void cluster::renewed(const peer& who) {
  if (closed_.load() || who.id != here_.head.id) return;
  log::info("the head was started again (life ", who.epoch, ")");
  tell_head_again();
}

void cluster::tell_head_again() {
  const no_store_scope on_this_thread;
  manager_->head_renewed();
  host_->owner_renewed(here_.head.id);
  directory_->owner_renewed(here_.head.id);
  groups_->head_renewed();
  desk_->head_renewed();
  head_questions_.ask_again();
}

void cluster::process_gone(process_id gone, const std::string& cause) {
  here_.net->forget(gone);
  desk_->process_gone(gone, cause);
  owner_->process_gone(gone, cause);
  executor_->process_gone(gone);
  manager_->process_gone(gone, cause);
  directory_->process_gone(gone, cause);
  host_->process_gone(gone, cause);
  objects_->process_gone(gone, cause);
  values_->process_gone(gone, cause);
  if (gone != here_.node.id) return;
  // Who was told of everything by its node is told of nothing any more.
  const std::string why = "the node of this process is gone: " + cause;
  directory_->abandon_all(why);
  groups_->abandon_all(why);
  objects_->cut_off(why);
  head_questions_.fail(why);
  end(why);
}

// -- tasks ----------------------------------------------------------------------------------------

void cluster::tasks_wait(tasks::task_queue& queue) noexcept {
  owner_->tasks_wait(static_cast<tasks::remote_queue&>(queue));
}

void cluster::task_stopped(detail::task& task) noexcept { owner_->task_stopped(task); }

// -- names ----------------------------------------------------------------------------------------

status cluster::ask_head() { return head_questions_.ask_status(); }

detail::actor_core_ptr cluster::handle_of(const name_reply& known, const detail::class_info& info,
                                          std::string_view name) {
  if (known.class_name != info.name) {
    throw actor_name_error("the actor '" + std::string(name) + "' is a " + known.class_name +
                           ", not a " + std::string(info.name));
  }
  here_.net->learn(known.owner);
  return directory_->handle(known.actor, info, std::string(name), false);
}

detail::actor_core_ptr cluster::find_actor(std::string_view name, std::string_view in_namespace,
                                           const detail::class_info& info) {
  const std::string in =
      in_namespace.empty() ? here_.runtime().settings.job_namespace : std::string(in_namespace);
  const std::uint64_t request = head_questions_.next_request();
  const name_reply found = head_questions_.ask_names(
      pack(find_name{request, in, std::string(name)}), request, "get_actor");
  if (!found.actor) {
    throw actor_name_error("there is no actor '" + std::string(name) + "'" +
                           (in.empty() ? "" : " in namespace '" + in + "'") +
                           " in the cluster; see 'troupe status' for those that live");
  }
  return handle_of(found, info, name);
}

// -- actors ---------------------------------------------------------------------------------------

actor_plan cluster::plan_of(const detail::class_info& info, detail::actor_call& creation,
                            const options& given) {
  actor_plan plan;
  plan.class_name = std::string(info.name);
  plan.constructor = creation.remote_key();
  plan.options.name = given.name;
  plan.options.in_namespace = given.in_namespace.empty() ? here_.runtime().settings.job_namespace
                                                         : std::string(given.in_namespace);
  plan.options.detached = given.lifetime == lifetime::detached;
  plan.options.max_restarts = given.max_restarts;
  plan.options.max_task_retries = given.max_task_retries;
  plan.options.max_concurrency = given.max_concurrency;
  plan.options.max_pending_calls = given.max_pending_calls;
  plan.options.max_batch_size = given.max_batch_size;
  plan.options.max_wait = given.max_wait.count();
  for (const concurrency_group& group : given.groups) {
    plan.options.groups.emplace_back(group.name, group.limit);
  }
  plan.lease.job = here_.job;
  plan.lease.wanted =
      to_demand(core::make_demand(given.num_cpus, 0.0, given.num_gpus, given.memory,
                                  {given.resources.begin(), given.resources.size()}));
  plan.lease.name = info.name;
  plan.lease.placement = static_cast<placement_kind>(given.scheduling.what());
  plan.lease.place_key = given.scheduling.key();
  plan.lease.place_value = given.scheduling.value();
  plan.lease.soft = given.scheduling.soft();
  plan.lease.isolated = given.isolation == isolation::process;
  plan.lease.for_actor = true;
  plan.lease.infeasible_fails = given.infeasible == infeasible::fail;
  plan.lease.group = to_global(given.placement_group);
  plan.lease.bundle = given.bundle_index;
  plan.options.placement_group = plan.lease.group;
  plan.options.captures = given.capture_children;
  plan.lease.surroundings = here_.surroundings_for(
      given.runtime_env != nullptr ? environments_.prepare(*given.runtime_env) : std::string());
  return plan;
}

detail::actor_core_ptr cluster::create_actor(const detail::class_info& info,
                                             detail::actor_call* creation,
                                             detail::options_ptr given, bool& taken) {
  static const options defaults;
  const options& o = given ? given->get() : defaults;
  if (o.max_restarts != 0 && !creation->info().repeatable) {
    throw std::invalid_argument("actor " + std::string(info.name) +
                                ": max_restarts needs constructor arguments that can be copied");
  }
  actor_plan plan = plan_of(info, *creation, o);
  taken = true;
  detail::actor_call_access::mark_creation(*creation);
  // The creation lives as long as the plan: every life of the actor is made from its arguments.
  const auto keeper = std::shared_ptr<detail::actor_call>(creation, [](detail::actor_call* call) {
    const auto own = detail::object_ptr::adopt(call);
    call->note_asked();
    call->abandon(failure_with<actor_died_error>("the actor is gone"));
    call->retire();
  });
  plan.arguments = [keeper](process_id receiver, message& carrier) {
    return archive_for(receiver, carrier, nullptr, [&](detail::output_archive& archive) {
      keeper->archive_arguments(archive);
    });
  };
  if (plan.options.detached) return adopt_by_head(info, *creation, std::move(plan), o);
  const actor_options named = plan.options;
  const global_id id = manager_->own(std::move(plan));
  detail::actor_core_ptr handle = directory_->handle(id, info, std::string(o.name), true);
  if (!named.name.empty()) {
    const std::uint64_t request = head_questions_.next_request();
    const name_reply reply = head_questions_.ask_names(
        pack(register_name{request, named.in_namespace, named.name, std::string(info.name), id,
                           here_.net->self()}),
        request, "remote");
    if (!reply.done) {
      manager_->kill(id.local, exit_reason::out_of_scope, "its name is taken", false);
      if (o.get_if_exists) return handle_of(reply, info, o.name);
      throw actor_name_error(
          "the name '" + named.name + "'" +
          (named.in_namespace.empty() ? "" : " in namespace '" + named.in_namespace + "'") +
          " is taken by an actor of class " + reply.class_name +
          ": choose another one, or use get_if_exists");
    }
  }
  auto& proxy = static_cast<remote_actor&>(*handle.get());
  proxy.expect(*creation, [this, id, creation] {
    if (creation->has_failed()) {
      const auto why = to_message(*creation->why());
      manager_->kill(id.local, exit_reason::constructor_threw,
                     "an argument of its constructor failed: " +
                         (why.message.empty() ? why.told : why.message),
                     false);
    } else {
      manager_->begin(id);
    }
  });
  creation->connect_arguments();
  if (creation->release_arguments()) creation->dispatch();
  return handle;
}

/// A detached actor is owned by the head, which outlives this process.
detail::actor_core_ptr cluster::adopt_by_head(const detail::class_info& info,
                                              detail::actor_call& creation, actor_plan plan,
                                              const options& given) {
  if (given.name.empty()) {
    throw std::invalid_argument("actor " + std::string(info.name) +
                                ": a detached actor needs a name, or nobody could find it again");
  }
  if (creation.info().refers) {
    // The head cannot wait for this process's objects.
    throw std::invalid_argument(
        "actor " + std::string(info.name) +
        ": a detached actor's constructor takes values: get the refs first");
  }
  message carrier;
  adopt_actor order;
  order.request = head_questions_.next_request();
  order.job = here_.job;
  order.constructor = plan.constructor;
  order.class_name = plan.class_name;
  order.options = plan.options;
  order.lease = plan.lease;
  order.arguments = plan.arguments(here_.head.id, carrier);
  const std::uint64_t request = order.request;
  message packed = pack(std::move(order));
  packed.attachments = std::move(carrier.attachments);
  const name_reply reply = head_questions_.ask_names(std::move(packed), request, "remote");
  if (!reply.done && !given.get_if_exists) {
    throw actor_name_error("the name '" + std::string(given.name) +
                           "' is taken by an actor of class " + reply.class_name +
                           ": choose another one, or use get_if_exists");
  }
  return handle_of(reply, info, given.name);
}

std::string cluster::prepare_environment(const runtime_env& wanted) {
  return environments_.prepare(wanted);
}

detail::actor_core_ptr cluster::public_handle(detail::local_actor& actor) {
  const global_id id = host_->find(actor);
  if (!id) return {};
  return directory_->handle(id, actor.info(), std::string(actor.given().name), false);
}

// -- core::sharing --------------------------------------------------------------------------------

void cluster::save_ref(detail::output_archive& archive, const detail::object_ptr& object,
                       const detail::object_ops& ops) {
  objects_->save_ref(archive, object, ops);
}

detail::object_ptr cluster::load_ref(detail::input_archive& archive,
                                     const detail::object_ops& ops) {
  return objects_->load_ref(archive, ops);
}

detail::archive_receiver cluster::receiver_of_archive() noexcept {
  const transfer_scope* const now = transfer_scope::current;
  if (now == nullptr) return detail::archive_receiver::unknown;
  const std::optional<peer> other = here_.net->find(now->other());
  return other && other->host == here_.net->self().host ? detail::archive_receiver::same_machine
                                                        : detail::archive_receiver::elsewhere;
}

void cluster::save_handle(detail::output_archive& archive, const detail::actor_core_ptr& actor) {
  if (transfer_scope::current == nullptr) {
    throw detail::archive_error("an actor_handle is archived only to be sent to another process");
  }
  if (!actor) {
    objects_->save_id(archive, {});
    return;
  }
  global_id id;
  std::string name;
  if (const auto* const remote = dynamic_cast<const remote_actor*>(actor.get())) {
    id = remote->where();
    name = remote->name();
  } else if (auto* const local = dynamic_cast<detail::local_actor*>(actor.get())) {
    id = host_->find(*local);
    name = local->given().name;
  }
  if (!id) {
    throw detail::archive_error("the actor " + actor.get()->full_name() +
                                " lives in this process only, because its constructor's arguments "
                                "cannot be archived: its handle cannot leave the process");
  }
  objects_->count(id, transfer_scope::current->other(), 1);
  objects_->save_id(archive, id);
  archive(name);
}

detail::actor_core_ptr cluster::load_handle(detail::input_archive& archive,
                                            const detail::class_info& info) {
  if (transfer_scope::current == nullptr) {
    throw detail::archive_error("an actor_handle is read only from what another process sent");
  }
  const global_id id = objects_->load_id(archive);
  if (!id) return {};
  std::string name;
  archive(name);
  return directory_->handle(id, info, std::move(name), true);
}

void cluster::dropped(detail::remote_object& object) noexcept { objects_->dropped(object); }

void cluster::cancel(detail::remote_object& object, bool recursive) noexcept {
  objects_->cancel(object, recursive);
}

detail::stored_ptr cluster::store_value(std::span<const std::byte> inline_bytes,
                                        std::span<const std::span<const std::byte>> segments,
                                        std::string_view made_by, bool is_result) {
  process_id owner = 0;
  if (is_result && transfer_scope::current != nullptr) owner = transfer_scope::current->other();
  return values_->store(inline_bytes, segments, made_by, owner);
}

void cluster::save_stored(detail::output_archive& archive, const detail::stored_value& where) {
  values_->save(archive, where);
}

detail::stored_ptr cluster::load_stored(detail::input_archive& archive, bool given) {
  return values_->load(archive, given);
}

}  // namespace troupe::net
