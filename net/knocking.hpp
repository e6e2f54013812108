/// Decides which refused strangers are logged: whoever knocks can not fill the disk.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace troupe::net {

/// Each host once a second, with how often it came in between. Hosts beyond a bound share one turn.
/// Pure and thread-compatible.
class knocking {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds pause{1};
  static constexpr std::size_t most_hosts = 256;

  /// `address`: HOST or HOST:PORT. Nothing when it is not to be logged; else how many of this host
  /// were not since the last one.
  std::optional<std::uint64_t> came(const std::string& address, time_point now) {
    std::string host = host_of(address);
    if (hosts_.size() >= most_hosts && hosts_.count(host) == 0) {
      std::erase_if(hosts_, [now](const auto& h) { return now - h.second.logged >= pause; });
      if (hosts_.size() >= most_hosts) host.clear();
    }
    const auto [found, is_new] = hosts_.try_emplace(std::move(host));
    if (!is_new && now - found->second.logged < pause) {
      ++found->second.unlogged;
      return std::nullopt;
    }
    found->second.logged = now;
    return std::exchange(found->second.unlogged, 0);
  }

 private:
  struct visitor {
    time_point logged{};
    std::uint64_t unlogged = 0;
  };

  static std::string host_of(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    const bool has_port =
        colon != std::string::npos && (address.front() == '[' || address.find(':') == colon);
    return has_port ? address.substr(0, colon) : address;
  }

  std::map<std::string, visitor> hosts_;
};

}  // namespace troupe::net
