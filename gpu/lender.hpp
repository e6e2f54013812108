/// Lends this process's device memory to other processes of the machine.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include <troupe/gpu/memory.hpp>

#include "gpu/lending_state.hpp"
#include "gpu/loan_wire.hpp"

namespace troupe::gpu::detail {

class engine;

/// Thread-safe. Has a socket and a thread from the first loan on, and keeps what is lent.
class lender {
 public:
  explicit lender(engine& of) : of_(of) {}
  ~lender();
  lender(const lender&) = delete;
  lender& operator=(const lender&) = delete;

  /// For one process that will claim it. Throws `std::system_error` when there can be no socket.
  loan_id lend(const memory_ptr& what);
  /// One of this process's own loans has come back to it: the memory itself. Null when it is over.
  memory_ptr redeem(loan_id loan);
  /// Where that process finds this one. After the first loan.
  std::string name() const;
  bool lends_as(const std::string& name) const;
  std::size_t loans() const;

 private:
  void start();
  void serve();
  /// False when the borrower has gone.
  bool answer(borrower_id who, int socket);
  bool answer_open(int socket, const memory_ptr& what, bool with_pool);
  bool answer_fetch(int socket, const memory_ptr& what);
  void drop_free();

  engine& of_;
  mutable std::mutex mutex_;
  lending_state state_;                   // guarded by mutex_, as below
  std::map<memory_id, memory_ptr> lent_;  // by address: one number for each memory
  std::string name_;
  core::descriptor listener_;
  core::descriptor wake_;  ///< an eventfd: there is more to expire, or it ends
  bool ending_ = false;
  std::thread server_;
};

}  // namespace troupe::gpu::detail
