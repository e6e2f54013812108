/// What threads of a program have asked the head, and wait for.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "net/messages.hpp"
#include "net/process.hpp"

namespace troupe::net {

/// Thread-safe. A question that a head has died over is asked again of its next life.
class head_questions {
 public:
  explicit head_questions(const process& here) : here_(here) {}

  std::uint64_t next_request();
  /// Blocks. `what` holds `request`; `for_what` begins the errors. Throws `connection_error` when
  /// there is no answer within a minute, and after `fail`.
  name_reply ask_names(message what, std::uint64_t request, const char* for_what);
  status ask_status();

  void on(name_reply&& reply);
  void on(status&& reply);
  void ask_again();
  /// There is no way to the head any more: of those who wait and of those who come.
  void fail(const std::string& why);

 private:
  template <class Reply>
  struct question;
  template <class Reply>
  void wait_for(question<Reply>& asked, const char* for_what) const;

  const process& here_;
  std::mutex mutex_;
  std::uint64_t last_request_ = 0;  // guarded by mutex_, as below
  std::unordered_map<std::uint64_t, std::shared_ptr<question<name_reply>>> names_;
  std::shared_ptr<question<status>> status_;
  std::string failed_;  ///< why; empty: it has not
};

}  // namespace troupe::net
