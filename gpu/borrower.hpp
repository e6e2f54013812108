/// Device memory of other processes of the machine, in this one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "gpu/lending_state.hpp"
#include "gpu/loan_wire.hpp"

namespace troupe::gpu::detail {

/// What travels in place of an array's content. Sizes are checked when it is read.
struct loan {
  std::string lender;  ///< name of its socket
  loan_id number = 0;
  std::string uuid;  ///< of the device
  std::uint64_t bytes = 0;
};

/// A connection to one lender. Thread-safe.
class lender_link {
 public:
  explicit lender_link(const std::string& name) : socket_(wire::connect_to(name)) {}

  void tell(wire::verb what, loan_id which) noexcept;
  /// Throws `object_lost_error` when the lender has gone or does not know the loan.
  wire::answer ask(wire::verb what, loan_id which, bool with_pool = false,
                   core::descriptor* pool = nullptr);
  void fetch(loan_id which, std::span<std::byte> to);

  /// The lender's pools that were opened here, by the device's UUID.
  std::map<std::string, std::shared_ptr<CUmemPoolHandle_st>> pools;
  std::mutex pools_mutex;

 private:
  wire::answer ask_locked(wire::verb what, loan_id which, bool with_pool, core::descriptor* pool);

  std::mutex mutex_;
  core::descriptor socket_;  // guarded by mutex_
};

/// A claimed loan. It is given back with the last who holds it.
class borrowed {
 public:
  /// Throws `object_lost_error` when the lender has gone.
  explicit borrowed(loan what);
  ~borrowed();
  borrowed(const borrowed&) = delete;
  borrowed& operator=(const borrowed&) = delete;

  const loan& what() const noexcept { return what_; }
  lender_link& lender() const noexcept { return *lender_; }
  /// For another process.
  loan pass_on() const;

 private:
  loan what_;
  std::shared_ptr<lender_link> lender_;
};

}  // namespace troupe::gpu::detail
