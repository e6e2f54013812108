/// The messages of a cluster, one struct each; docs/protocol.md says who sends which when.
///
/// Every struct is plain data in troupe's archive. A change of any of them is a new
/// `protocol_version`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "net/ids.hpp"

namespace troupe::net {

/// Two processes talk only when theirs are equal.
inline constexpr std::uint32_t protocol_version = 5;

enum class kind : std::uint16_t {
  // a process and its node
  register_process = 1,
  registered,
  goodbye,
  process_died,
  end_process,
  worker_output,
  ping,
  // leases
  request_lease = 20,
  lease_granted,
  lease_refused,
  lease_redirected,
  cancel_request,
  return_lease,
  open_lease,
  close_lease,
  suspend_lease,
  resume_lease,
  lease_resumed,
  lease_revoked,
  // tasks
  run_task = 40,
  task_done,
  task_returned,
  cancel_task,
  stream_item,
  stream_consumed,
  // objects
  object_wanted = 60,
  object_value,
  refs_changed,
  cancel_object,
  claim_value,
  drop_value,
  pull_value,
  value_source,
  pull_chunk,
  value_chunk,
  end_pull,
  pull_ended,
  copy_dropped,
  drop_copy,
  rebuild_value,
  value_rebuilt,
  open_channel,
  channel_offered,
  // actors
  create_actor = 80,
  actor_created,
  call_actor,
  call_done,
  cancel_call,
  end_actor,
  actor_ended,
  locate_actor,
  actor_at,
  kill_actor,
  // names, held by the control
  register_name = 100,
  find_name,
  release_name,
  name_reply,
  adopt_actor,
  // nodes and the control
  join_cluster = 120,
  joined,
  node_report,
  cluster_view,
  job_ended,
  job_started,
  process_joined,
  ask_view,
  // placement groups
  create_group = 160,
  remove_group,
  ask_group,
  group_reply,
  prepare_bundles,
  bundles_prepared,
  bundles_dropped,
  commit_bundles,
  drop_bundles,
  // tools
  ask_status = 140,
  status,
  stop_node,
  ask_memory,
  memory_use,
  // packages
  package_wanted = 180,
  package_piece,
  // devices
  gpu_memory_used = 190,
};

/// An archived value in a body: its small part, and how many of the message's attachments are its.
struct payload {
  std::vector<std::byte> bytes;
  std::uint16_t segments = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(bytes, segments);
  }
};

/// Why something failed, in a form that every process can read; see net/failures.hpp.
struct archived_failure {
  std::uint8_t type = 0;  ///< which of troupe's errors or of the standard's exceptions
  std::string message;
  std::string thrown_type;  ///< demangled; empty for failures of troupe itself
  std::vector<std::string> frames;
  std::string node;
  std::int64_t pid = 0;
  std::int32_t code = 0;      ///< of a std::system_error
  std::string code_category;  ///< "generic" or "system"
  std::string told;           ///< what the exception said, without what troupe adds
  template <class Archive>
  void serialize(Archive& archive) {
    archive(type, message, thrown_type, frames, node, pid, code, code_category, told);
  }
};

/// A value, a failure, or neither: `void`.
struct outcome {
  bool failed = false;
  payload value;
  archived_failure failure;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(failed);
    if (failed) {
      archive(failure);
    } else {
      archive(value);
    }
  }
};

/// An amount of each resource, in units of 0.0001.
using demand = std::vector<std::pair<std::string, std::int64_t>>;

// -- packages -------------------------------------------------------------------------------------

/// Bytes that are named by the hash of their content: an executable, or an archive of files.
struct package_info {
  std::string hash;  ///< see net/content_hash.hpp; empty: none
  std::uint64_t size = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(hash, size);
  }
};

/// Which file it is on its machine.
struct file_identity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t changed_ns = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(device, inode, size, changed_ns);
  }
};

struct executable_file {
  package_info what;
  file_identity identity;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(what, identity);
  }
};

/// What a worker is given before it runs anything; troupe::runtime_env, ready to travel.
struct env_spec {
  std::string id;  ///< equal for equal environments; empty: none
  std::vector<std::pair<std::string, std::string>> variables;
  package_info package;
  bool has_folder = false;             ///< the package has the worker's working folder
  std::vector<std::string> libraries;  ///< names of files in it, to be loaded in this order
  std::uint64_t setup = 0;             ///< key of the setup function; 0: none
  peer source;                         ///< has the package
  template <class Archive>
  void serialize(Archive& archive) {
    archive(id, variables, package, has_folder, libraries, setup, source);
  }
};

/// Node to a process that has a package: send the piece that begins there, 1 MiB or to the end.
struct package_wanted {
  static constexpr auto what = kind::package_wanted;
  std::string hash;
  std::uint64_t offset = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(hash, offset);
  }
};

/// The answer; the piece is the message's attachment.
struct package_piece {
  static constexpr auto what = kind::package_piece;
  std::string hash;
  std::uint64_t offset = 0;
  std::string failed;  ///< why there is none
  template <class Archive>
  void serialize(Archive& archive) {
    archive(hash, offset, failed);
  }
};

// -- a process and its node -----------------------------------------------------------------------

enum class process_role : std::uint8_t { driver, worker, node };

/// A driver or worker to its node, first of all.
struct register_process {
  static constexpr auto what = kind::register_process;
  process_role role{};
  std::int64_t pid = 0;
  std::uint64_t start_token = 0;  ///< of a worker: given by the node that started it
  std::string executable;         ///< absolute path
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  ///< NAME=VALUE, for the workers of a driver's job
  std::string working_dir;
  std::string job_namespace;
  net::executable_file executable_file;
  env_spec surroundings;  ///< of a driver: of its job's workers that need no other
  std::string failure;    ///< of a worker: why it cannot work in its environment
  template <class Archive>
  void serialize(Archive& archive) {
    archive(role, pid, start_token, executable, arguments, environment, working_dir, job_namespace,
            executable_file, surroundings, failure);
  }
};

struct registered {
  static constexpr auto what = kind::registered;
  std::string refused;  ///< why; empty when accepted
  job_id job = 0;
  peer head;
  std::string node_name;
  std::string session_dir;
  demand total;  ///< of the node
  std::string job_namespace;
  peer driver;               ///< to a worker: its job's
  std::string store_socket;  ///< path, on the node's machine, where its object store answers
  env_spec surroundings;     ///< to a worker: its own
  template <class Archive>
  void serialize(Archive& archive) {
    archive(refused, job, head, node_name, session_dir, total, job_namespace, driver, store_socket,
            surroundings);
  }
};

/// A driver or worker leaves in good order; the node answers nothing.
struct goodbye {
  static constexpr auto what = kind::goodbye;
  template <class Archive>
  void serialize(Archive&) {}
};

/// A process is gone for good. Node to its processes and to the control, control to all nodes.
struct process_died {
  static constexpr auto what = kind::process_died;
  process_id process = 0;
  std::string cause;   ///< "signal 9 (Killed)", "exit code 3", "its node is gone"
  bool clean = false;  ///< it said goodbye
  template <class Archive>
  void serialize(Archive& archive) {
    archive(process, cause, clean);
  }
};

/// Node to a worker: end, for nothing of it is used any more, or the node ends.
struct end_process {
  static constexpr auto what = kind::end_process;
  template <class Archive>
  void serialize(Archive&) {}
};

/// Lines that a worker printed, to its driver.
struct worker_output {
  static constexpr auto what = kind::worker_output;
  struct line {
    std::string name;  ///< of the function or actor that printed it, else of the program
    std::string text;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(name, text);
    }
  };
  std::int64_t pid = 0;
  std::string node;
  bool error = false;  ///< from stderr
  std::vector<line> lines;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(pid, node, error, lines);
  }
};

/// Node to a driver of another machine: nothing is to be done. That the link acknowledges it tells
/// that the driver is there.
struct ping {
  static constexpr auto what = kind::ping;
  template <class Archive>
  void serialize(Archive&) {}
};

// -- leases ---------------------------------------------------------------------------------------

enum class placement_kind : std::uint8_t { hybrid, spread, affinity, label };

/// Owner to a node: a worker and resources for tasks of one shape, or for one actor.
struct request_lease {
  static constexpr auto what = kind::request_lease;
  std::uint64_t request = 0;  ///< the owner's choice
  job_id job = 0;
  demand wanted;
  std::string name;  ///< of what asks, for messages
  placement_kind placement{};
  std::string place_key;
  std::string place_value;
  bool soft = false;
  bool isolated = false;           ///< in a process of its own
  env_spec surroundings;           ///< of the worker; without id: the job's
  bool for_actor = false;          ///< for one actor's life
  bool infeasible_fails = false;   ///< refuse what no node can ever give
  std::uint32_t redirections = 0;  ///< how often it was sent on
  global_id group;                 ///< the placement group to run in, if any
  std::int32_t bundle = -1;        ///< of that group; -1: any
  bool located = false;            ///< the control has said that this node has the bundle
  process_id home = 0;             ///< the owner's node, without which the owner is gone, too
  bool outlives_job = false;       ///< a detached actor may need it, through the owner
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, job, wanted, name, placement, place_key, place_value, soft, isolated,
            surroundings, for_actor, infeasible_fails, redirections, group, bundle, located, home,
            outlives_job);
  }
};

struct lease_granted {
  static constexpr auto what = kind::lease_granted;
  std::uint64_t request = 0;
  lease_id lease = 0;
  peer worker;
  std::string node_name;
  std::vector<std::uint32_t> gpus;  ///< their ids at the node
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, lease, worker, node_name, gpus);
  }
};

enum class refusal : std::uint8_t { infeasible, worker_failed, shutting_down };

struct lease_refused {
  static constexpr auto what = kind::lease_refused;
  std::uint64_t request = 0;
  refusal why{};
  std::string text;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, why, text);
  }
};

/// Ask that node instead.
struct lease_redirected {
  static constexpr auto what = kind::lease_redirected;
  std::uint64_t request = 0;
  peer node;
  bool located = false;  ///< it has the bundle that is asked for; else it is the head, who knows
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, node, located);
  }
};

/// Node to the owner: the lease has ended before the owner returned it, because its placement group
/// is gone. What ran in it has failed.
struct lease_revoked {
  static constexpr auto what = kind::lease_revoked;
  lease_id lease = 0;
  std::string why;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lease, why);
  }
};

struct cancel_request {
  static constexpr auto what = kind::cancel_request;
  std::uint64_t request = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request);
  }
};

/// Owner to the node of the lease: it needs it no more.
struct return_lease {
  static constexpr auto what = kind::return_lease;
  lease_id lease = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lease);
  }
};

/// Node to the worker: a lease begins. Work for it may arrive before this does.
struct open_lease {
  static constexpr auto what = kind::open_lease;
  lease_id lease = 0;
  process_id owner = 0;
  demand granted;
  std::vector<std::uint32_t> gpus;
  bool outlives_job = false;  ///< and so do the leases that the worker asks for
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lease, owner, granted, gpus, outlives_job);
  }
};

/// Node to the worker: the lease has ended.
struct close_lease {
  static constexpr auto what = kind::close_lease;
  lease_id lease = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lease);
  }
};

/// Worker to its node: all code of the lease is blocked; its CPUs are free meanwhile.
struct suspend_lease {
  static constexpr auto what = kind::suspend_lease;
  lease_id lease = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lease);
  }
};

/// Worker to its node: the lease wants its CPUs back, before all new requests.
struct resume_lease {
  static constexpr auto what = kind::resume_lease;
  lease_id lease = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lease);
  }
};

struct lease_resumed {
  static constexpr auto what = kind::lease_resumed;
  lease_id lease = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(lease);
  }
};

// -- tasks ----------------------------------------------------------------------------------------

/// Owner to worker.
struct run_task {
  static constexpr auto what = kind::run_task;
  std::uint64_t task = 0;  ///< of the sender
  lease_id lease = 0;
  std::uint64_t function = 0;
  std::string name;  ///< when it is not the function's
  std::uint32_t attempt = 0;
  std::uint32_t backpressure = 0;
  std::uint64_t skip = 0;  ///< stream items that an earlier attempt gave
  global_id group;         ///< the placement group that it runs in, if any
  bool captures = false;   ///< what it starts runs there, too
  payload arguments;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(task, lease, function, name, attempt, backpressure, skip, group, captures, arguments);
  }
};

struct task_done {
  static constexpr auto what = kind::task_done;
  std::uint64_t task = 0;
  outcome result;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(task, result);
  }
};

/// The worker did not begin the task and will not: run it elsewhere.
struct task_returned {
  static constexpr auto what = kind::task_returned;
  std::uint64_t task = 0;
  std::string why;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(task, why);
  }
};

struct cancel_task {
  static constexpr auto what = kind::cancel_task;
  std::uint64_t task = 0;
  bool recursive = true;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(task, recursive);
  }
};

/// One result of a generator, in order from 0.
struct stream_item {
  static constexpr auto what = kind::stream_item;
  std::uint64_t task = 0;
  std::uint64_t index = 0;
  outcome item;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(task, index, item);
  }
};

/// Owner to worker: so many items are read; `abandoned`: no further ones are wanted.
struct stream_consumed {
  static constexpr auto what = kind::stream_consumed;
  std::uint64_t task = 0;
  std::uint64_t count = 0;
  bool abandoned = false;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(task, count, abandoned);
  }
};

// -- objects --------------------------------------------------------------------------------------

/// Borrower to owner: send the object's value or failure when it is there.
struct object_wanted {
  static constexpr auto what = kind::object_wanted;
  std::uint64_t object = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(object);
  }
};

struct object_value {
  static constexpr auto what = kind::object_value;
  std::uint64_t object = 0;
  outcome value;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(object, value);
  }
};

/// Borrower to owner: the object is not wanted any more; its task shall stop.
struct cancel_object {
  static constexpr auto what = kind::cancel_object;
  std::uint64_t object = 0;
  bool recursive = true;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(object, recursive);
  }
};

/// To an owner: `holder` holds so many refs or handles more (or less) than was told before. A
/// sender that passes a ref on tells of the receiver's before it drops its own; what counts is not
/// the order of the messages of different senders but that all of a holder's sum to zero.
struct refs_changed {
  static constexpr auto what = kind::refs_changed;
  struct change {
    std::uint64_t local = 0;
    process_id holder = 0;
    std::int32_t count = 0;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(local, holder, count);
    }
  };
  std::vector<change> changes;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(changes);
  }
};

// -- large values ---------------------------------------------------------------------------------
// They lie in the stores of nodes; net/store_state.hpp. A value is named by its home, the node that
// it was made on, and a number.

/// Owner to the home: it has heard of a value that another process made for it.
struct claim_value {
  static constexpr auto what = kind::claim_value;
  global_id value;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
};

/// Owner to the home: nobody needs it any more.
struct drop_value {
  static constexpr auto what = kind::drop_value;
  global_id value;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
};

/// A node, or a process that has none, to the home: where can I get it?
struct pull_value {
  static constexpr auto what = kind::pull_value;
  global_id value;
  bool keeps = true;  ///< a node, which will have a copy
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, keeps);
  }
};

struct value_source {
  static constexpr auto what = kind::value_source;
  global_id value;
  std::uint64_t size = 0;
  peer source;
  std::string refused;  ///< why there is none
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, size, source, refused);
  }
};

/// To a node that will be a source: a data connection is wanted.
struct open_channel {
  static constexpr auto what = kind::open_channel;
  template <class Archive>
  void serialize(Archive&) {}
};

/// The connection may be made, at this port of the node's address; or why not.
struct channel_offered {
  static constexpr auto what = kind::channel_offered;
  std::uint64_t channel = 0;
  std::uint16_t port = 0;
  std::vector<std::byte> key;  ///< of that connection alone
  std::string refused;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(channel, port, key, refused);
  }
};

/// To the source: send that part.
struct pull_chunk {
  static constexpr auto what = kind::pull_chunk;
  global_id value{};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t channel = 0;  ///< by which data connection, if it stands; 0: by the link
  std::uint64_t request = 0;  ///< the reader's number, for a data connection
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, offset, size, channel, request);
  }
};

/// The part, as an attachment.
struct value_chunk {
  static constexpr auto what = kind::value_chunk;
  global_id value;
  std::uint64_t offset = 0;
  bool missing = false;  ///< the source does not have the value (any more), or
  std::string no_room;   ///< why it has no memory to read it back from its disk
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, offset, missing, no_room);
  }
};

/// To the source: nothing more is wanted.
struct end_pull {
  static constexpr auto what = kind::end_pull;
  global_id value;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
};

/// To the home: how a transfer from the source that it named has ended.
struct pull_ended {
  static constexpr auto what = kind::pull_ended;
  global_id value;
  process_id source = 0;
  bool done = false;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, source, done);
  }
};

/// A node to the home: its copy is gone.
struct copy_dropped {
  static constexpr auto what = kind::copy_dropped;
  global_id value;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
};

/// The home to a node: the value is freed.
struct drop_copy {
  static constexpr auto what = kind::drop_copy;
  global_id value;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value);
  }
};

/// To the owner of an object: its value is lost, as far as the sender can tell.
struct rebuild_value {
  static constexpr auto what = kind::rebuild_value;
  global_id value;
  std::string why;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, why);
  }
};

/// The answer, when the task that made it has run again: where it lies now, or why it is lost.
struct value_rebuilt {
  static constexpr auto what = kind::value_rebuilt;
  global_id value;  ///< as it was asked for
  global_id now;
  peer home;
  bool failed = false;
  archived_failure failure;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, now, home, failed, failure);
  }
};

// -- actors ---------------------------------------------------------------------------------------
// An actor is owned by the process that created it, a detached one by the head. The owner decides
// about its life; `incarnation` counts its lives and is part of every message about one.

struct actor_options {
  std::string name;
  std::string in_namespace;
  bool detached = false;
  std::int32_t max_restarts = 0;
  std::int32_t max_task_retries = 0;
  std::int32_t max_concurrency = 0;
  std::uint32_t max_pending_calls = 0;
  std::uint32_t max_batch_size = 0;
  std::int64_t max_wait = 0;  ///< nanoseconds
  std::vector<std::pair<std::string, std::int32_t>> groups;
  global_id placement_group;
  bool captures = false;  ///< what it starts runs in its placement group, too
  template <class Archive>
  void serialize(Archive& archive) {
    archive(name, in_namespace, detached, max_restarts, max_task_retries, max_concurrency,
            max_pending_calls, max_batch_size, max_wait, groups, placement_group, captures);
  }
};

/// Owner to the worker of its lease.
struct create_actor {
  static constexpr auto what = kind::create_actor;
  global_id actor;
  std::uint32_t incarnation = 0;
  lease_id lease = 0;
  std::vector<std::uint32_t> gpus;  ///< of that lease
  std::uint64_t constructor = 0;
  std::string class_name;
  actor_options options;
  payload arguments;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor, incarnation, lease, gpus, constructor, class_name, options, arguments);
  }
};

/// Worker to owner: the constructor has run, or failed.
struct actor_created {
  static constexpr auto what = kind::actor_created;
  global_id actor;
  std::uint32_t incarnation = 0;
  outcome result;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor, incarnation, result);
  }
};

/// Caller to the worker that hosts the actor. Links keep order, so calls run in the order of their
/// sending.
struct call_actor {
  static constexpr auto what = kind::call_actor;
  global_id actor;
  std::uint32_t incarnation = 0;
  std::uint64_t call = 0;    ///< of the sender
  std::uint64_t caller = 0;  ///< the task or actor of the sender that made it
  std::uint64_t method = 0;
  std::string name;  ///< when it is not the method's
  std::string group;
  std::uint32_t attempt = 0;
  std::uint32_t backpressure = 0;
  payload arguments;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor, incarnation, call, caller, method, name, group, attempt, backpressure,
            arguments);
  }
};

struct call_done {
  static constexpr auto what = kind::call_done;
  std::uint64_t call = 0;
  std::uint32_t incarnation = 0;  ///< the life that it was sent to
  bool refused = false;           ///< it did not run: that incarnation is not here (any more)
  outcome result;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(call, incarnation, refused, result);
  }
};

struct cancel_call {
  static constexpr auto what = kind::cancel_call;
  std::uint64_t call = 0;
  bool recursive = true;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(call, recursive);
  }
};

/// Owner to worker: end that life of the actor.
struct end_actor {
  static constexpr auto what = kind::end_actor;
  global_id actor;
  std::uint32_t incarnation = 0;
  std::uint8_t reason = 0;  ///< troupe::exit_reason
  std::string text;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor, incarnation, reason, text);
  }
};

/// Worker to owner: that life has ended.
struct actor_ended {
  static constexpr auto what = kind::actor_ended;
  global_id actor;
  std::uint32_t incarnation = 0;
  std::uint8_t reason = 0;
  std::string text;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor, incarnation, reason, text);
  }
};

/// Holder of a handle to the owner: tell me where it is, now and whenever that changes.
struct locate_actor {
  static constexpr auto what = kind::locate_actor;
  std::uint64_t actor = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor);
  }
};

enum class actor_phase : std::uint8_t { pending, alive, restarting, dead };

struct actor_at {
  static constexpr auto what = kind::actor_at;
  std::uint64_t actor = 0;  ///< of the sender
  std::uint32_t incarnation = 0;
  actor_phase phase{};
  peer host;                          ///< when alive
  std::uint8_t reason = 0;            ///< when dead
  std::string text;                   ///< when dead or restarting: why
  std::int32_t max_task_retries = 0;  ///< of calls that name none
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor, incarnation, phase, host, reason, text, max_task_retries);
  }
};

/// Anyone to the owner.
struct kill_actor {
  static constexpr auto what = kind::kill_actor;
  std::uint64_t actor = 0;
  bool no_restart = true;
  std::uint8_t reason = 0;
  std::string text;
  std::uint32_t incarnation = 0;  ///< of which a restart is wanted; one that follows is spared
  template <class Archive>
  void serialize(Archive& archive) {
    archive(actor, no_restart, reason, text, incarnation);
  }
};

// -- names ----------------------------------------------------------------------------------------

/// To the control: that name shall be this actor's.
struct register_name {
  static constexpr auto what = kind::register_name;
  std::uint64_t request = 0;
  std::string in_namespace;
  std::string name;
  std::string class_name;
  global_id actor;
  peer owner;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, in_namespace, name, class_name, actor, owner);
  }
};

struct find_name {
  static constexpr auto what = kind::find_name;
  std::uint64_t request = 0;
  std::string in_namespace;
  std::string name;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, in_namespace, name);
  }
};

/// The owner of a named actor, when it has ended for good.
struct release_name {
  static constexpr auto what = kind::release_name;
  std::string in_namespace;
  std::string name;
  global_id actor;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(in_namespace, name, actor);
  }
};

/// Who has the name now; `actor` is nobody when nobody has. Of a registration: whether it did.
struct name_reply {
  static constexpr auto what = kind::name_reply;
  std::uint64_t request = 0;
  bool done = false;
  std::string class_name;
  global_id actor;
  peer owner;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, done, class_name, actor, owner);
  }
};

/// Driver or worker to the head: own this detached actor. The head answers by `name_reply` with its
/// id, or with the one that has the name.
struct adopt_actor {
  static constexpr auto what = kind::adopt_actor;
  std::uint64_t request = 0;
  job_id job = 0;
  std::uint64_t constructor = 0;
  std::string class_name;
  actor_options options;
  request_lease lease;
  payload arguments;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, job, constructor, class_name, options, lease, arguments);
  }
};

// -- nodes and the control ------------------------------------------------------------------------

/// A node to the head.
struct join_cluster {
  static constexpr auto what = kind::join_cluster;
  /// Bundles of a placement group that were prepared together; see `prepare_bundles`.
  struct reservation {
    global_id group;
    std::uint64_t attempt = 0;
    std::vector<std::uint32_t> bundles;
    bool committed = false;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(group, attempt, bundles, committed);
    }
  };
  peer node;
  std::string name;
  demand total;
  std::vector<std::pair<std::string, std::string>> labels;
  /// It was part of the cluster under an earlier life of the head, and tells what it has.
  bool returning = false;
  demand available;
  std::vector<process_id> processes;  ///< that have registered there
  std::vector<reservation> reservations;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(node, name, total, labels, returning, available, processes, reservations);
  }
};

/// The head's answer to `join_cluster`, and to each `node_report`: that it is heard.
struct joined {
  static constexpr auto what = kind::joined;
  std::string refused;
  bool returning = false;        ///< it is the answer to one that returns
  std::vector<job_id> jobs;      ///< to that one: all that have not ended
  std::vector<job_id> held;      ///< to that one: those that have, and whose detached actors live
  std::vector<lease_id> leases;  ///< to that one: of it, those of the head's actors
  template <class Archive>
  void serialize(Archive& archive) {
    archive(refused, returning, jobs, held, leases);
  }
};

/// How full a node's object store is; all 0 where there is none.
struct store_use {
  std::uint64_t capacity = 0;
  std::uint64_t used = 0;
  std::uint64_t spilled = 0;
  bool operator==(const store_use&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(capacity, used, spilled);
  }
};

/// What arrays have of a device's memory.
struct gpu_memory {
  std::string uuid;
  std::string name;
  std::uint64_t total = 0;
  std::uint64_t in_arrays = 0;
  std::uint32_t processes = 1;  ///< whose arrays these are
  bool operator==(const gpu_memory&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(uuid, name, total, in_arrays, processes);
  }
};

/// A process to its node, some time after it changed: its own arrays, on all devices that it used.
struct gpu_memory_used {
  static constexpr auto what = kind::gpu_memory_used;
  std::vector<gpu_memory> devices;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(devices);
  }
};

/// Node to the head when it changed, and as a heartbeat.
struct node_report {
  static constexpr auto what = kind::node_report;
  demand available;
  std::vector<std::pair<demand, std::uint32_t>> waiting;  ///< demands and how many of each
  std::uint32_t workers = 0;
  std::uint32_t actors = 0;  ///< that have a lease here
  store_use store;
  std::vector<gpu_memory> gpus;  ///< of devices that processes of the node have used
  template <class Archive>
  void serialize(Archive& archive) {
    archive(available, waiting, workers, actors, store, gpus);
  }
};

/// Head to all nodes when it changed: what each needs to send requests on. The first one that a
/// node gets is `whole`; those after it say what has changed since the last one.
struct cluster_view {
  static constexpr auto what = kind::cluster_view;
  struct node {
    peer at;
    std::string name;
    demand total;
    demand available;
    std::vector<std::pair<std::string, std::string>> labels;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(at, name, total, available, labels);
    }
  };
  bool whole = false;
  std::vector<node> nodes;
  std::vector<process_id> gone;
  std::uint64_t answers = 0;  ///< the number of an `ask_view`; 0: nobody has asked
  template <class Archive>
  void serialize(Archive& archive) {
    archive(whole, nodes, gone, answers);
  }
};

/// Node to the head: it is to be told at once of all that the head knows of the nodes. Views may be
/// older than what a process has seen: before something is refused since no node has it, the head
/// is asked.
struct ask_view {
  static constexpr auto what = kind::ask_view;
  std::uint64_t number = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number);
  }
};

/// A driver has come. Its node to the head, with job 0, and head to all nodes, with the job's
/// number: what they need to start workers for it. The head tells nodes that join later of those
/// that live.
struct job_started {
  static constexpr auto what = kind::job_started;
  job_id job = 0;
  peer driver;
  register_process process;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(job, driver, process);
  }
};

/// Node to the head: that process lives here, and is gone when the node is.
struct process_joined {
  static constexpr auto what = kind::process_joined;
  process_id process = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(process);
  }
};

/// A driver has left. Node to the head, head to all nodes; and once more when the last of its
/// detached actors has ended.
struct job_ended {
  static constexpr auto what = kind::job_ended;
  job_id job = 0;
  bool held = false;  ///< detached actors of it live, and what they have got
  template <class Archive>
  void serialize(Archive& archive) {
    archive(job, held);
  }
};

// -- placement groups -----------------------------------------------------------------------------
// The control decides where bundles lie, and reserves them in two phases: all nodes prepare, then
// all commit, or none does.

enum class group_strategy : std::uint8_t { pack, spread, strict_pack, strict_spread };
/// `rescheduling`: some of its bundles were lost with a node.
enum class group_phase : std::uint8_t { pending, created, rescheduling, removed };

/// Any process to the control. It is answered by `group_reply` with request 0: that it is known, or
/// gone because its name is taken.
struct create_group {
  static constexpr auto what = kind::create_group;
  global_id group;  ///< of the sender's choice
  job_id job = 0;
  std::string in_namespace;
  std::string name;
  group_strategy strategy{};
  bool detached = false;
  std::vector<demand> bundles;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(group, job, in_namespace, name, strategy, detached, bundles);
  }
};

/// Any process to the control.
struct remove_group {
  static constexpr auto what = kind::remove_group;
  global_id group;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(group);
  }
};

/// Any process to the control: what is known of that group, by its id or by its name.
struct ask_group {
  static constexpr auto what = kind::ask_group;
  std::uint64_t request = 0;
  global_id group;
  std::string in_namespace;
  std::string name;
  bool when_created = false;  ///< answer when it is created or gone
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, group, in_namespace, name, when_created);
  }
};

struct group_reply {
  static constexpr auto what = kind::group_reply;
  std::uint64_t request = 0;
  global_id group;  ///< nobody: there is none
  group_phase phase{};
  std::string why;  ///< when it is not created
  std::vector<demand> bundles;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(request, group, phase, why, bundles);
  }
};

/// Control to a node: reserve these bundles, all or none, and answer at once.
struct prepare_bundles {
  static constexpr auto what = kind::prepare_bundles;
  struct bundle {
    std::uint32_t index = 0;
    demand amount;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(index, amount);
    }
  };
  global_id group;
  std::uint64_t attempt = 0;  ///< dealt by the control, never twice
  std::vector<bundle> bundles;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(group, attempt, bundles);
  }
};

struct bundles_prepared {
  static constexpr auto what = kind::bundles_prepared;
  global_id group;
  std::uint64_t attempt = 0;
  bool done = false;
  demand available;  ///< of the node, after that
  template <class Archive>
  void serialize(Archive& archive) {
    archive(group, attempt, done, available);
  }
};

/// A node to the control, after `drop_bundles`: what it has free now.
struct bundles_dropped {
  static constexpr auto what = kind::bundles_dropped;
  demand available;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(available);
  }
};

/// Control to a node: leases of what was prepared in that attempt may begin.
struct commit_bundles {
  static constexpr auto what = kind::commit_bundles;
  global_id group;
  std::uint64_t attempt = 0;
  bool alone = false;  ///< no other node has bundles of the group
  template <class Archive>
  void serialize(Archive& archive) {
    archive(group, attempt, alone);
  }
};

/// Control to a node: what was prepared or committed in that attempt (0: in any) is free again, and
/// what runs in it ends.
struct drop_bundles {
  static constexpr auto what = kind::drop_bundles;
  global_id group;
  std::uint64_t attempt = 0;
  std::string why;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(group, attempt, why);
  }
};

// -- tools ----------------------------------------------------------------------------------------

struct ask_status {
  static constexpr auto what = kind::ask_status;
  template <class Archive>
  void serialize(Archive&) {}
};

struct status {
  static constexpr auto what = kind::status;
  struct node {
    std::string name;
    std::string address;
    demand total;
    demand available;
    std::vector<std::pair<demand, std::uint32_t>> waiting;
    std::vector<std::pair<std::string, std::string>> labels;
    std::uint32_t workers = 0;
    std::uint32_t actors = 0;
    bool head = false;
    store_use store;
    std::vector<gpu_memory> gpus;
    bool awaited = false;  ///< it has not come back to a head that was started again
    template <class Archive>
    void serialize(Archive& archive) {
      archive(name, address, total, available, waiting, labels, workers, actors, head, store, gpus,
              awaited);
    }
  };
  struct named_actor {
    std::string in_namespace;
    std::string name;
    std::string class_name;
    bool detached = false;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(in_namespace, name, class_name, detached);
    }
  };
  struct group {
    global_id id;
    std::string in_namespace;
    std::string name;
    group_strategy strategy{};
    group_phase phase{};
    std::string why;  ///< when it is not created
    bool detached = false;
    std::vector<demand> bundles;
    std::vector<std::string> nodes;  ///< by bundle; empty: it is not placed
    template <class Archive>
    void serialize(Archive& archive) {
      archive(id, in_namespace, name, strategy, phase, why, detached, bundles, nodes);
    }
  };
  std::vector<node> nodes;
  std::vector<named_actor> actors;
  std::vector<group> groups;
  std::uint32_t jobs = 0;
  std::uint32_t life = 0;       ///< of the head: 1 until it was started again
  std::int64_t life_began = 0;  ///< seconds since 1970
  std::string store_problem;    ///< why nothing can be promised just now; empty: all is well
  template <class Archive>
  void serialize(Archive& archive) {
    archive(nodes, actors, groups, jobs, life, life_began, store_problem);
  }
};

/// A tool to a node: what is in its object store?
struct ask_memory {
  static constexpr auto what = kind::ask_memory;
  template <class Archive>
  void serialize(Archive&) {}
};

struct memory_use {
  static constexpr auto what = kind::memory_use;
  struct process {
    process_id id = 0;
    std::int64_t pid = 0;  ///< 0: it has no connection to this store
    template <class Archive>
    void serialize(Archive& archive) {
      archive(id, pid);
    }
  };
  struct value {
    std::string name;
    std::uint64_t size = 0;
    process owner;
    std::string made_by;  ///< the task, or the place of the `put`
    bool copy = false;    ///< of a value that was made on another node
    bool in_memory = false;
    bool in_file = false;
    bool writing = false;
    bool waiting = false;  ///< to be restored, or pulled
    std::vector<process> readers;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(name, size, owner, made_by, copy, in_memory, in_file, writing, waiting, readers);
    }
  };
  std::string node;
  std::uint64_t capacity = 0;
  std::uint64_t used = 0;
  std::uint64_t pinned = 0;
  std::uint64_t spilled = 0;
  std::uint64_t waiting = 0;  ///< requests for memory
  std::uint64_t spills = 0;   ///< ever, as those below
  std::uint64_t restores = 0;
  std::uint64_t evictions = 0;
  std::uint64_t pulls = 0;
  std::uint64_t bulk_bytes = 0;    ///< that came by data connections
  std::uint64_t bulk_refused = 0;  ///< what came by them and was not what was sent
  std::vector<value> values;       ///< the largest first, at most 100,000
  template <class Archive>
  void serialize(Archive& archive) {
    archive(node, capacity, used, pinned, spilled, waiting, spills, restores, evictions, pulls,
            bulk_bytes, bulk_refused, values);
  }
};

/// A tool to a node: end it, and on the head the cluster.
struct stop_node {
  static constexpr auto what = kind::stop_node;
  template <class Archive>
  void serialize(Archive&) {}
};

}  // namespace troupe::net
