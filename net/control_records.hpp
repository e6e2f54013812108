/// What the control keeps in its durable store: rows, and what a head reads from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/archive.hpp>

#include "net/ids.hpp"
#include "net/messages.hpp"

namespace troupe::net {

/// The tables of the store. Their numbers are not stored.
enum class store_table : std::uint8_t {
  nodes,      ///< that are part of the cluster
  processes,  ///< that live on them
  jobs,
  names,
  groups,
  actors,  ///< detached ones, as they were ordered
  lives,   ///< where each of them is
  dead,    ///< processes that were declared dead last
  meta,
};
inline constexpr std::size_t store_tables = 9;

/// One row is put, or removed.
struct store_change {
  store_table in{};
  std::string key;
  std::string label;                           ///< for people who read the store
  std::optional<std::vector<std::byte>> body;  ///< nothing: the row is removed
  /// Somebody was, or will be, told that it is so: it shall also survive a loss of power.
  bool promised = false;
};

struct stored_job {
  job_started started;
  bool ended = false;  ///< it is kept for detached actors
  template <class Archive>
  void serialize(Archive& archive) {
    archive(started, ended);
  }
};

struct stored_name {
  std::string in_namespace;
  std::string name;
  std::string class_name;
  global_id actor;
  peer owner;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(in_namespace, name, class_name, actor, owner);
  }
};

struct stored_group {
  create_group spec;
  std::uint64_t order = 0;
  std::vector<process_id> where;  ///< by bundle; 0: nowhere
  bool was_created = false;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(spec, order, where, was_created);
  }
};

/// A detached actor as it was ordered.
struct stored_actor {
  std::uint64_t local = 0;
  process_id asker = 0;
  adopt_actor order;
  std::vector<std::vector<std::byte>> attachments;  ///< of the arguments
  template <class Archive>
  void serialize(Archive& archive) {
    archive(local, asker, order, attachments);
  }
};

/// Where an actor is in its life. It is stored before anybody is told.
struct stored_life {
  std::uint64_t local = 0;
  std::uint32_t incarnation = 0;
  std::int32_t restarts_left = 0;
  std::uint8_t phase = 0;  ///< `actor_phase`
  peer host;               ///< nobody: it waits for a place
  lease_id lease = 0;
  process_id lease_node = 0;
  std::vector<std::uint32_t> gpus;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(local, incarnation, restarts_left, phase, host, lease, lease_node, gpus);
  }
};

/// All of a store, read by a head that begins another life.
struct stored_cluster {
  std::uint32_t life = 1;  ///< that begins now
  std::map<process_id, join_cluster> nodes;
  std::map<process_id, process_id> processes;  ///< and their nodes
  std::vector<stored_job> jobs;
  job_id next_job = 1;
  std::vector<stored_name> names;
  std::vector<stored_group> groups;
  std::vector<stored_actor> actors;
  std::map<std::uint64_t, stored_life> lives;
  std::vector<process_died> dead;
};

struct store_row {
  std::string key;
  std::vector<std::byte> body;
};

/// What is wrong with a row.
struct unreadable_row : std::runtime_error {
  unreadable_row(store_table of, const char* what) : std::runtime_error(what), in(of) {}
  store_table in;
};

/// Reads a store whose rows `rows_of` hands out. Throws `unreadable_row`.
stored_cluster read_cluster(const std::function<std::vector<store_row>(store_table)>& rows_of);

template <class T>
store_change put_row(store_table in, std::string key, std::string label, const T& what,
                     bool promised = false) {
  return {in, std::move(key), std::move(label), detail::encode(T(what)).inline_bytes, promised};
}
inline store_change remove_row(store_table in, std::string key) {
  return {in, std::move(key), {}, std::nullopt, false};
}

inline std::string key_of(process_id id) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = digits[id >> (60 - 4 * i) & 15];
  return text;
}
inline std::string key_of(global_id id) { return key_of(id.owner) + "/" + key_of(id.local); }
inline std::string key_of(const std::string& in_namespace, const std::string& name) {
  return in_namespace + '\n' + name;
}

}  // namespace troupe::net
