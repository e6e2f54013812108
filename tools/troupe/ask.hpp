/// Questions of the command to processes of a cluster.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "net/ids.hpp"
#include "net/pack.hpp"
#include "tools/troupe/command_line.hpp"

namespace troupe::tools {

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
