/// Placement groups: resources that are reserved together, as bundles on one node or several.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <troupe/detail/export.hpp>
#include <troupe/object_ref.hpp>
#include <troupe/options.hpp>
#include <troupe/resources.hpp>

namespace troupe {

/// How the bundles of a group lie to each other.
enum class placement_strategy : std::uint8_t {
  pack,           ///< on as few nodes as can be
  spread,         ///< on as many nodes as can be
  strict_pack,    ///< all on one node, or the group waits
  strict_spread,  ///< each on a node of its own, or the group waits
};

/// What is reserved together on one node.
struct bundle {
  double num_cpus = 0;
  double num_gpus = 0;
  std::uint64_t memory = 0;
  resource_list resources{};
};

/// Views bundles that live elsewhere, such as a braced list or a vector; they are copied when the
/// group is made. Trivially destructible, as all options are.
class bundle_list {
 public:
  constexpr bundle_list() = default;
  constexpr bundle_list(std::initializer_list<bundle> bundles)
      : bundle_list(std::data(bundles), bundles.size()) {}
  constexpr bundle_list(const bundle* first, std::size_t count) : first_(first), count_(count) {}
  template <class Container>
  requires(!std::is_same_v<Container, bundle_list> &&
           requires(const Container& c) {
             static_cast<const bundle*>(c.data());
             static_cast<std::size_t>(c.size());
           }) constexpr bundle_list(const Container& bundles)  // NOLINT: a view of it
      : bundle_list(bundles.data(), bundles.size()) {}

  constexpr const bundle* begin() const noexcept { return first_; }
  constexpr const bundle* end() const noexcept { return first_ + count_; }
  constexpr std::size_t size() const noexcept { return count_; }

 private:
  const bundle* first_ = nullptr;
  std::size_t count_ = 0;
};

struct placement_group_options {
  bundle_list bundles{};
  placement_strategy strategy = placement_strategy::pack;
  /// Found by it, see `get_placement_group`.
  std::string_view name{};
  /// Of its name; default the session's.
  std::string_view in_namespace{};
  /// A detached one lives until it is removed.
  troupe::lifetime lifetime = troupe::lifetime::scoped;
};

static_assert(std::is_trivially_destructible_v<placement_group_options>);

/// A reservation of bundles, all of them or none.
///
/// `placement_group({...})` begins to reserve and returns at once; `ready()` tells when all bundles
/// are there. Tasks and actors run in it by `with({.placement_group = group, .bundle_index = 0})`,
/// also before: then they wait. A scoped group is removed when the last copy of what was created
/// goes, at the end of the process or job that created it, and by `remove()`. What runs in a group
/// that is removed ends: tasks fail with `placement_error`, actors die and do not restart.
///
/// A value; copies are of the same group. In another process, and from `get_placement_group`, it is
/// a name of the group and does not keep it. Thread-safe, as a `shared_ptr`.
class TROUPE_API placement_group {
 public:
  /// Names no group.
  placement_group() = default;
  /// @throws std::invalid_argument when there is no bundle, or one is empty or makes no sense;
  ///   placement_error when the name is taken; connection_error when the runtime is not running.
  explicit placement_group(const placement_group_options& wanted);

  /// Ready when all bundles were reserved for the first time; fails with `placement_error` when
  /// the group is gone.
  object_ref<void> ready() const;
  /// Whether it is ready within that time. Throws as `get(ready())`.
  bool wait(std::chrono::nanoseconds timeout) const;
  /// Frees the bundles and ends what runs in them. May be called more than once.
  void remove() const;

  placement_group_id id() const noexcept;
  /// How many bundles it has.
  std::size_t size() const noexcept;
  explicit operator bool() const noexcept { return static_cast<bool>(id()); }
  /// As the option `placement_group` takes it.
  operator placement_group_id() const noexcept { return id(); }  // NOLINT
  friend bool operator==(const placement_group& a, const placement_group& b) noexcept {
    return a.id() == b.id();
  }

  template <class Archive>
  void save(Archive& archive) const {
    const placement_group_id own = id();
    archive(own.creator, own.number, static_cast<std::uint64_t>(size()));
  }
  template <class Archive>
  void load(Archive& archive) {
    placement_group_id other;
    std::uint64_t bundles = 0;
    archive(other.creator, other.number, bundles);
    *this = named(other, bundles);
  }

 private:
  struct handle;
  friend TROUPE_API placement_group get_placement_group(std::string_view, std::string_view);
  friend TROUPE_API placement_group current_placement_group();
  static placement_group named(placement_group_id id, std::size_t bundles);
  std::shared_ptr<handle> handle_;  // shared by copies: the last one removes a scoped group
};

/// The group of that name. Throws `placement_error` when there is none.
TROUPE_API placement_group get_placement_group(std::string_view name,
                                               std::string_view in_namespace = {});

/// The group that the task or actor of this thread runs in; an empty one when it runs in none.
TROUPE_API placement_group current_placement_group();

/// What is known of a group.
struct placement_group_info {
  placement_group_id id;
  std::string name;
  std::string in_namespace;
  placement_strategy strategy{};
  std::string state;  ///< "created", "pending" or "rescheduling"
  std::string why;    ///< when it is not created
  bool detached = false;
  std::vector<std::map<std::string, double>> bundles;
  std::vector<std::string> nodes;  ///< of each bundle; empty while it lies nowhere
};
TROUPE_API std::vector<placement_group_info> list_placement_groups();

}  // namespace troupe
