#include "net/control_store.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <troupe/log.hpp>

namespace troupe::net {
namespace {

/// In SQLite's `user_version`. The rows hold structs of the protocol, which change with it.
constexpr int format = static_cast<int>(protocol_version);
/// In SQLite's `application_id`: "TRPC".
constexpr int application = 0x54525043;

constexpr std::array<const char*, store_tables> table_names = {
    "nodes", "processes", "jobs", "names", "groups", "actors", "lives", "dead", "meta"};

const char* name_of(store_table of) { return table_names[static_cast<std::size_t>(of)]; }

constexpr auto retry_period = std::chrono::seconds(1);
constexpr int busy_ms = 2'000;
/// Beyond it, what was written is moved from the log into the file.
constexpr const char* settings =
    "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=1000; PRAGMA locking_mode=EXCLUSIVE;";

struct finalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using statement_ptr = std::unique_ptr<sqlite3_stmt, finalizer>;

std::span<const std::byte> blob_at(sqlite3_stmt* from, int column) {
  const auto* const at = static_cast<const std::byte*>(sqlite3_column_blob(from, column));
  return {at, static_cast<std::size_t>(sqlite3_column_bytes(from, column))};
}

}  // namespace

struct control_store::statements {
  std::array<statement_ptr, store_tables> put;
  std::array<statement_ptr, store_tables> remove;
};

void control_store::fail(const std::string& what) const {
  const int code = base_ != nullptr ? sqlite3_errcode(base_) : SQLITE_NOMEM;
  std::string text = "the head's store " + path_ + " " + what + ": " +
                     (base_ != nullptr ? sqlite3_errmsg(base_) : "no memory");
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      text +=
          ". The file is damaged, or no store. Put back a copy of it, or move it away: the head "
          "then begins a new cluster, and what the old one had ends";
      break;
    case SQLITE_FULL:
    case SQLITE_IOERR:
      text += ". Is the disk full? Free some space; see also --store";
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      text += ". Another process has it open: does a head run with this store already?";
      break;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      text += ". The folder and the file must be there and belong to this user; see also --store";
      break;
    default:
      break;
  }
  throw store_error(text);
}

void control_store::execute(const char* sql) const {
  if (sqlite3_exec(base_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("cannot be used");
}

control_store::control_store(std::string path) : path_(std::move(path)) {
  // The files beside it, which SQLite makes, have its mode.
  const int made = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat facts {};
  const bool opened = made >= 0 && ::fstat(made, &facts) == 0;
  const int error = errno;
  if (made >= 0) ::close(made);
  if (!opened) {
    throw store_error("the head's store " + path_ + " cannot be opened: " + std::strerror(error) +
                      "; see --store");
  }
  if (facts.st_uid != ::geteuid() || (facts.st_mode & 077) != 0) {
    throw store_error("the head's store " + path_ +
                      " must belong to this user and be readable by nobody else: chmod 600 it");
  }
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  if (sqlite3_open_v2(path_.c_str(), &base_, flags, nullptr) != SQLITE_OK) {
    try {
      fail("cannot be opened");
    } catch (...) {
      sqlite3_close(base_);
      throw;
    }
  }
  try {
    sqlite3_busy_timeout(base_, busy_ms);
    execute(settings);
    const auto number = [this](const char* sql) {
      sqlite3_stmt* found = nullptr;
      if (sqlite3_prepare_v2(base_, sql, -1, &found, nullptr) != SQLITE_OK) fail("cannot be read");
      const statement_ptr own(found);
      if (sqlite3_step(found) != SQLITE_ROW) fail("cannot be read");
      return sqlite3_column_int(found, 0);
    };
    const int is_format = number("PRAGMA user_version");
    const int is_application = number("PRAGMA application_id");
    if (is_application != 0 && is_application != application) {
      throw store_error(path_ + " is a database of another program, not a head's store");
    }
    if (is_format != 0 && is_format != format) {
      throw store_error("the head's store " + path_ + " was written by " +
                        (is_format > format ? "a newer" : "an older") + " troupe (version " +
                        std::to_string(is_format) + ", this one reads " + std::to_string(format) +
                        "): use that one, or move the file away to begin a new cluster");
    }
    if (is_format == 0) {
      std::string sql = "BEGIN IMMEDIATE;";
      for (const char* const table : table_names) {
        sql += std::string("CREATE TABLE ") + table +
               " (key TEXT PRIMARY KEY, label TEXT, body BLOB NOT NULL);";
      }
      sql += "PRAGMA application_id=" + std::to_string(application) +
             ";PRAGMA user_version=" + std::to_string(format) + ";COMMIT;";
      execute(sql.c_str());
    } else {
      sqlite3_stmt* found = nullptr;
      if (sqlite3_prepare_v2(base_, "PRAGMA integrity_check(1)", -1, &found, nullptr) !=
          SQLITE_OK) {
        fail("cannot be checked");
      }
      const statement_ptr own(found);
      if (sqlite3_step(found) != SQLITE_ROW) fail("cannot be checked");
      const std::string said(reinterpret_cast<const char*>(sqlite3_column_text(found, 0)));
      if (said != "ok") {
        throw store_error("the head's store " + path_ + " is damaged (" + said +
                          "). Put back a copy of it, or move it away: the head then begins a new "
                          "cluster, and what the old one had ends");
      }
    }
    statements_ = std::make_unique<statements>();
    for (std::size_t i = 0; i < store_tables; ++i) {
      const auto prepare = [&](const std::string& sql) {
        sqlite3_stmt* made_of_it = nullptr;
        if (sqlite3_prepare_v3(base_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &made_of_it,
                               nullptr) != SQLITE_OK) {
          fail("cannot be written");
        }
        return statement_ptr(made_of_it);
      };
      const std::string table = table_names[i];
      statements_->put[i] =
          prepare("INSERT OR REPLACE INTO " + table + " (key, label, body) VALUES (?1, ?2, ?3)");
      statements_->remove[i] = prepare("DELETE FROM " + table + " WHERE key = ?1");
    }
  } catch (...) {
    statements_.reset();
    sqlite3_close(base_);
    throw;
  }
}

control_store::~control_store() {
  statements_.reset();
  sqlite3_close(base_);
}

std::vector<store_row> control_store::rows(store_table of) const {
  std::vector<store_row> result;
  const std::string sql = std::string("SELECT key, body FROM ") + name_of(of) + " ORDER BY rowid";
  sqlite3_stmt* found = nullptr;
  if (sqlite3_prepare_v2(base_, sql.c_str(), -1, &found, nullptr) != SQLITE_OK) {
    fail("cannot be read");
  }
  const statement_ptr own(found);
  for (;;) {
    const int step = sqlite3_step(found);
    if (step == SQLITE_DONE) return result;
    if (step != SQLITE_ROW) fail("cannot be read");
    const auto key = blob_at(found, 0);
    const auto body = blob_at(found, 1);
    result.push_back({std::string(reinterpret_cast<const char*>(key.data()), key.size()),
                      std::vector<std::byte>(body.begin(), body.end())});
  }
}

void control_store::commit(const std::vector<store_change>& changes) {
  bool promised = false;
  for (const store_change& one : changes) promised = promised || one.promised;
  // What is not promised is in the kernel's hands when the commit returns, the rest on the disk.
  execute(promised ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  execute("BEGIN IMMEDIATE");
  try {
    write(changes);
    execute("COMMIT");
  } catch (...) {
    sqlite3_exec(base_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

void control_store::write(const std::vector<store_change>& changes) {
  for (const store_change& one : changes) {
    const auto table = static_cast<std::size_t>(one.in);
    sqlite3_stmt* const use =
        (one.body ? statements_->put[table] : statements_->remove[table]).get();
    const auto text = [use](int place, const std::string& value) {
      sqlite3_bind_text(use, place, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    };
    text(1, one.key);
    if (one.body) {
      text(2, one.label);
      sqlite3_bind_blob64(use, 3, one.body->data(), one.body->size(), SQLITE_STATIC);
      // A body without bytes is not the same as none.
      if (one.body->empty()) sqlite3_bind_zeroblob(use, 3, 0);
    }
    const int step = sqlite3_step(use);
    sqlite3_reset(use);
    sqlite3_clear_bindings(use);
    if (step != SQLITE_DONE) fail("cannot be written");
  }
}

void control_store::clear() {
  std::string sql = "BEGIN IMMEDIATE;";
  for (const char* const table : table_names) sql += std::string("DELETE FROM ") + table + ";";
  sql += "COMMIT;";
  execute("PRAGMA synchronous=FULL");
  execute(sql.c_str());
}

stored_cluster control_store::read() const {
  try {
    return read_cluster([this](store_table of) { return rows(of); });
  } catch (const unreadable_row& e) {
    throw store_error("the head's store " + path_ + " has a row in '" + name_of(e.in) +
                      "' that cannot be read (" + e.what() +
                      "): it was written by another version, or is damaged. Use the troupe that "
                      "wrote it, or move the file away to begin a new cluster");
  }
}

void control_store::remove(const std::string& path) {
  for (const char* const part : {"", "-wal", "-shm"}) ::unlink((path + part).c_str());
}

// -- store_writer ---------------------------------------------------------------------------------

store_writer::~store_writer() {
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void store_writer::commit(std::vector<store_change> changes, std::function<void()> done) {
  {
    const std::lock_guard guard(mutex_);
    orders_.push_back({std::move(changes), std::move(done)});
  }
  changed_.notify_all();
}

std::string store_writer::problem() const {
  const std::lock_guard guard(mutex_);
  return problem_;
}

void store_writer::loop() {
  std::unique_lock guard(mutex_);
  for (;;) {
    changed_.wait(guard, [this] { return ending_ || !orders_.empty(); });
    if (orders_.empty()) return;
    std::deque<order> taken;
    taken.swap(orders_);
    guard.unlock();
    std::vector<store_change> all;
    for (order& one : taken) {
      all.insert(all.end(), std::make_move_iterator(one.changes.begin()),
                 std::make_move_iterator(one.changes.end()));
    }
    for (bool stored = all.empty(); !stored;) {
      try {
        store_.commit(all);
        stored = true;
        guard.lock();
        if (!std::exchange(problem_, {}).empty())
          log::info("the head's store can be written again");
        guard.unlock();
      } catch (const std::exception& e) {
        guard.lock();
        if (problem_ != e.what()) {
          log::error(e.what(), "; what asks the head for something new waits until then");
        }
        problem_ = e.what();
        const bool over = changed_.wait_for(guard, retry_period, [this] { return ending_; });
        if (over) return;
        guard.unlock();
      }
    }
    for (order& one : taken) one.done();
    guard.lock();
  }
}

}  // namespace troupe::net
