/// The disk of the simulated head: what is committed survives its process.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "net/control_records.hpp"

namespace troupe::sim {

/// As `net::control_store`. What has not been committed dies with the head's process.
class durable_store {
 public:
  /// One transaction.
  void commit(const std::vector<net::store_change>& changes) {
    for (const net::store_change& one : changes) {
      auto& table = tables_[one.in];
      if (one.body) {
        table[one.key] = *one.body;
      } else {
        table.erase(one.key);
      }
    }
  }
  net::stored_cluster read() const {
    return net::read_cluster([this](net::store_table of) {
      std::vector<net::store_row> rows;
      const auto table = tables_.find(of);
      if (table == tables_.end()) return rows;
      for (const auto& [key, body] : table->second) rows.push_back({key, body});
      return rows;
    });
  }
  std::uint32_t begin_life() { return ++life_; }

 private:
  std::map<net::store_table, std::map<std::string, std::vector<std::byte>>> tables_;
  std::uint32_t life_ = 0;
};

}  // namespace troupe::sim
