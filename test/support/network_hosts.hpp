/// Hosts of a network on this machine: network namespaces that a bridge joins. A host that is cut
/// off keeps its interface, its address and its open sockets; nothing arrives any more.
#pragma once

#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "test/support/daemons.hpp"

namespace troupe::test {

/// Thread-compatible. Needs root, and `ip` of iproute2.
class network_hosts {
 public:
  /// Whether this system lets the test make some; else why not.
  static bool possible(std::string& why) {
    if (::geteuid() != 0) {
      why = "only root can make network namespaces";
      return false;
    }
    try {
      const network_hosts one({"x"});
      return true;
    } catch (const std::exception& e) {
      why = e.what();
      return false;
    }
  }

  explicit network_hosts(const std::vector<std::string>& names) : names_(names) {
    try {
      ip({"netns", "add", space("switch")});
      ip({"-n", space("switch"), "link", "add", "bridge", "type", "bridge"});
      ip({"-n", space("switch"), "link", "set", "bridge", "up"});
      for (const std::string& name : names_) join(name);
    } catch (...) {
      remove();
      throw;
    }
  }
  network_hosts(const network_hosts&) = delete;
  network_hosts& operator=(const network_hosts&) = delete;
  ~network_hosts() { remove(); }

  std::string address(const std::string& name) const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return "10.213.0." + std::to_string(i + 1);
    }
    throw std::invalid_argument("there is no host " + name);
  }
  /// The words that run a program there.
  std::vector<std::string> at(const std::string& name, std::vector<std::string> words) const {
    words.insert(words.begin(), {"/usr/bin/nsenter", "--net=/run/netns/" + space(name)});
    return words;
  }
  void cut(const std::string& name) const {
    ip({"-n", space("switch"), "link", "set", name, "nomaster"});
  }
  void heal(const std::string& name) const {
    ip({"-n", space("switch"), "link", "set", name, "master", "bridge"});
  }

 private:
  std::string space(const std::string& name) const {
    return "troupe-" + std::to_string(::getpid()) + "-" + name;
  }
  static void ip(std::vector<std::string> words) {
    words.insert(words.begin(), "/sbin/ip");
    const command_result ran = run_command(words);
    if (ran.code == 0) return;
    std::string all;
    for (const std::string& word : words) all += word + ' ';
    throw std::runtime_error("failed: " + all + ran.err);
  }
  void join(const std::string& name) const {
    ip({"netns", "add", space(name)});
    ip({"-n", space("switch"), "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns",
        space(name)});
    ip({"-n", space("switch"), "link", "set", name, "up"});
    heal(name);
    ip({"-n", space(name), "address", "add", address(name) + "/24", "dev", "eth0"});
    ip({"-n", space(name), "link", "set", "eth0", "up"});
    ip({"-n", space(name), "link", "set", "lo", "up"});
  }
  void remove() const noexcept {
    try {
      for (const std::string& name : names_) {
        run_command({"/sbin/ip", "netns", "delete", space(name)});
      }
      run_command({"/sbin/ip", "netns", "delete", space("switch")});
    } catch (const std::exception&) {  // what is left has this process's number in its name
    }
  }

  std::vector<std::string> names_;
};

}  // namespace troupe::test
