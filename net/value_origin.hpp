/// Where a value in a store lies, who owns it, and what makes it again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <troupe/detail/stored_value.hpp>
#include <troupe/detail/waiting.hpp>

#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/store_state.hpp"

namespace troupe::net {

class lineage;
class value_store;

/// Thread-safe.
class value_origin : public std::enable_shared_from_this<value_origin> {
 public:
  struct place {
    stored_id id;
    peer home;
  };
  /// `keeper`: the process that owns the object; without an id when nobody knows. `owned`: that is
  /// this one, and the value is dropped with its last handle.
  value_origin(std::shared_ptr<value_store> in, place at, std::uint64_t bytes, peer keeper,
               std::string made_by, bool owned);
  ~value_origin();
  value_origin(const value_origin&) = delete;
  value_origin& operator=(const value_origin&) = delete;

  /// What holds the value: when the last handle goes it may be freed, while the origin stays for
  /// those who may want it made again. A handle to a value that was freed finds it lost.
  detail::stored_ptr handle();

  place now() const;
  /// It was made again.
  void moved(place to);

  value_store& in() const noexcept { return *in_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  const peer& keeper() const noexcept { return keeper_; }
  const std::string& made_by() const noexcept { return made_by_; }
  bool owned() const noexcept { return owned_; }
  stored_id first_id() const noexcept { return first_; }

  /// Set once, before others know the origin.
  void set_lineage(std::shared_ptr<const lineage> how) { how_ = std::move(how); }
  const std::shared_ptr<const lineage>& how() const noexcept { return how_; }

 private:
  friend class stored_object;
  void released() noexcept;

  const std::shared_ptr<value_store> in_;
  const stored_id first_;
  const std::uint64_t bytes_;
  const peer keeper_;
  const std::string made_by_;
  const bool owned_;
  std::shared_ptr<const lineage> how_;
  mutable std::mutex mutex_;
  place at_;  // guarded by mutex_, as the next ones
  std::size_t handles_ = 0;
  std::weak_ptr<const detail::mapped_value> mapped_;
};

/// A handle.
class stored_object final : public detail::stored_value {
 public:
  explicit stored_object(std::shared_ptr<value_origin> origin) : origin_(std::move(origin)) {}
  ~stored_object() override { origin_->released(); }
  detail::mapping map(const detail::deadline& until) const override;
  std::uint64_t node() const noexcept override { return origin_->now().home.id; }
  std::uint64_t bytes() const noexcept override { return origin_->bytes(); }
  const std::shared_ptr<value_origin>& origin() const noexcept { return origin_; }

 private:
  const std::shared_ptr<value_origin> origin_;
};

}  // namespace troupe::net
