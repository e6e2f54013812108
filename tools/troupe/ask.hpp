/// Questions of the command to processes of a cluster.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "net/ids.hpp"
#include "net/pack.hpp"
#include "tools/troupe/command_line.hpp"

namespace troupe::tools {

// What the commands that ask have in common.
inline constexpr option address_option{
    "address", "HOST:PORT",
    "the head of the cluster; default: $TROUPE_ADDRESS, or the one that\na node of this machine "
    "belongs to"};
inline constexpr option key_file_option{
    "key-file", "FILE", "the cluster's key; default: $TROUPE_CLUSTER_KEY, or this\nmachine's"};
inline constexpr const char* ask_exit_codes = R"(
Exit codes: 0 done, 2 wrong use, 3 not reachable, 4 wrong cluster key, 5 no cluster here, 6 no answer
in time, 7 the versions differ.
)";

/// A link to the cluster that the options `address`, `key-file` and `timeout`, the environment or
/// this machine's node name. Thread-compatible.
class cluster_line {
 public:
  /// Throws `command_error` and `connection_error`.
  explicit cluster_line(const given_options& given);
  ~cluster_line();
  cluster_line(const cluster_line&) = delete;
  cluster_line& operator=(const cluster_line&) = delete;

  /// HOST:PORT of the head.
  const std::string& address() const;
  const net::peer& head() const;
  /// The process that answers there. Throws `connection_error`.
  net::peer find(const std::string& address);

  /// Waits for the first message of the answer's kind from there.
  template <class Answer, class Question>
  Answer ask(const net::peer& whom, Question question) {
    return net::unpack<Answer>(
        ask(whom, net::pack(std::move(question)), static_cast<std::uint16_t>(Answer::what)));
  }

 private:
  net::message ask(const net::peer& whom, net::message question, std::uint16_t answer);
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::tools
