/// The head's durable store: one SQLite file with a table for each kind of row.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "net/control_records.hpp"

struct sqlite3;

namespace troupe::net {

/// What is wrong with which file, and what to do.
class store_error : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

/// Thread-compatible. It can be read by `sqlite3 FILE`: each table has `key`, `label` for people,
/// and `body`, a struct of net/control_records.hpp or net/messages.hpp in troupe's archive.
///
/// The file is in WAL mode. What is committed survives the death of the process however it dies;
/// what is promised also survives a loss of power, for its commit waits for the disk.
class control_store {
 public:
  /// Opens the file, or makes it, for this user alone. Throws `store_error`: it is damaged, of
  /// another version, no store, in use by another process, or cannot be written.
  explicit control_store(std::string path);
  ~control_store();
  control_store(const control_store&) = delete;
  control_store& operator=(const control_store&) = delete;

  const std::string& path() const noexcept { return path_; }

  std::vector<store_row> rows(store_table of) const;
  /// One transaction. Throws `store_error`; then nothing of it is stored.
  void commit(const std::vector<store_change>& changes);
  /// Removes all rows.
  void clear();

  /// Everything, for a head that begins. Throws `store_error` when a row cannot be read.
  stored_cluster read() const;
  /// Removes a store's files.
  static void remove(const std::string& path);

 private:
  struct statements;
  void execute(const char* sql) const;
  [[noreturn]] void fail(const std::string& what) const;
  void write(const std::vector<store_change>& changes);

  std::string path_;
  sqlite3* base_ = nullptr;
  std::unique_ptr<statements> statements_;
};

/// Commits in order, on a thread of its own; what has queued meanwhile becomes one transaction.
/// A commit that fails is tried again every second until it succeeds. Thread-safe.
class store_writer {
 public:
  /// `done` is called on the writer's thread, in order, once the changes are stored.
  explicit store_writer(control_store& store) : store_(store), thread_([this] { loop(); }) {}
  /// Waits for what is queued, unless the store cannot be written.
  ~store_writer();

  void commit(std::vector<store_change> changes, std::function<void()> done);
  /// Why nothing can be stored just now; empty: all is well.
  std::string problem() const;

 private:
  struct order {
    std::vector<store_change> changes;
    std::function<void()> done;
  };
  void loop();

  control_store& store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<order> orders_;  // guarded by mutex_, as below
  std::string problem_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace troupe::net
