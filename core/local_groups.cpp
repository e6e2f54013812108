#include "core/local_groups.hpp"

#include <algorithm>
#include <deque>
#include <thread>
#include <unordered_map>
#include <utility>

#include <troupe/error.hpp>

#include "core/node_name.hpp"

namespace troupe::core {

namespace {

// Between a resource's name and a bundle's number: no resource is called so.
constexpr char bundle_mark = '\n';

detail::failure_ptr failure_of(const std::string& text) {
  return detail::make_failure(std::make_exception_ptr(placement_error(text)));
}

}  // namespace

/// One group, and the claim on the runtime's ledger for all its bundles. Thread-safe.
class local_groups::group final : public claimant {
 public:
  /// The resources of one bundle, or of any.
  class share final : public capacity {
   public:
    share(group& of, int index) : of_(of), index_(index) {}

    bool try_acquire(shape_id shape, gpu_share& gpus) override {
      ledger* const from = of_.opened();
      return from != nullptr && from->try_acquire(translate(*from, shape), gpus);
    }
    void request(claimant& who, shape_id shape, grant_order order) override {
      {
        const std::lock_guard guard(of_.mutex_);
        if (!of_.ledger_) {
          of_.held_.push_back({&who, this, shape, order});
          return;
        }
      }
      forward(who, shape, order);
    }
    void forward(claimant& who, shape_id shape, grant_order order) {
      ledger& from = *of_.opened();
      from.request(who, translate(from, shape), order);
    }
    bool withdraw(claimant& who) override {
      {
        const std::lock_guard guard(of_.mutex_);
        const auto at = std::find_if(of_.held_.begin(), of_.held_.end(),
                                     [&](const held& h) { return h.who == &who; });
        if (at != of_.held_.end()) {
          of_.held_.erase(at);
          return true;
        }
      }
      ledger* const from = of_.opened();
      return from != nullptr && from->withdraw(who);
    }
    void release(shape_id shape, const gpu_share& gpus) override {
      ledger& from = *of_.opened();
      from.release(translate(from, shape), gpus);
    }
    bool contended_beside(shape_id shape) const noexcept override {
      ledger* const from = of_.opened();
      return from != nullptr && from->contended_beside(translate(*from, shape));
    }

   private:
    /// The shape in the group's ledger, where a bundle's part is a resource of its own.
    shape_id translate(ledger& in, shape_id shape) const {
      const std::lock_guard guard(mutex_);
      const auto [known, is_new] = shapes_.try_emplace(shape);
      if (is_new) known->second = in.intern(in_bundle(demand(shape), index_));
      return known->second;
    }
    resource_set demand(shape_id shape) const { return of_.runtime_.the_ledger->demand(shape); }

    group& of_;
    const int index_;
    mutable std::mutex mutex_;
    mutable std::unordered_map<shape_id, shape_id> shapes_;  // guarded by mutex_
  };

  const group_spec spec;
  const detail::object_ptr ready =
      detail::object_ptr::adopt(new detail::value_object<void>);  ///< when it is placed

  group(runtime& of, group_spec wanted) : spec(std::move(wanted)), runtime_(of) {
    for (const resource_set& one : spec.bundles) sum_ += one;
    sum_.set(gpu_name, whole_gpus(spec));
    shape_ = of.the_ledger->intern(sum_);
  }

  /// Asks for the bundles; says why when they can never be had.
  void ask() {
    const bool apart = spec.strategy == placement_strategy::strict_spread;
    const auto missing = runtime_.the_ledger->never_fits(sum_);
    if (apart && spec.bundles.size() > 1) {
      why_ = "infeasible: " + std::to_string(spec.bundles.size()) +
             " bundles need as many nodes, and there is one";
    } else if (missing) {
      why_ = "infeasible: it " + *missing;
    } else {
      why_ = "waits: its resources are in use";
      asked_ = true;
      runtime_.the_ledger->request(*this, shape_, grant_order::normal);
    }
  }
  void granted() noexcept override {
    const resource_set total = total_of(spec);
    const std::vector<gpu_share> reserved{gpus()};
    open(std::make_unique<ledger>(total, gpu_ids(reserved)), true);
    signal().set();
  }
  /// Its resources are free again. What waits in it is let in, to find that it has ended.
  void end(const detail::failure_ptr& why) {
    const bool has = asked_ && !runtime_.the_ledger->withdraw(*this);
    signal().set_failure(why);
    if (!has) return open(std::make_unique<ledger>(total_of(spec)), false);
    while (!placed()) std::this_thread::yield();  // the grant is on its way
    runtime_.the_ledger->release(shape_, gpus());
  }

  share& share_of(int index) {
    const std::lock_guard guard(mutex_);
    auto& known = shares_[index];
    if (!known) known = std::make_unique<share>(*this, index);
    return *known;
  }
  bool used() const {
    const std::lock_guard guard(mutex_);
    return !shares_.empty();
  }
  bool placed() const {
    const std::lock_guard guard(mutex_);
    return placed_;
  }
  const std::string& why() const { return why_; }

 private:
  friend class share;
  struct held {
    claimant* who;
    share* at;
    shape_id shape;
    grant_order order;
  };

  void open(std::unique_ptr<ledger> own, bool placed) {
    std::deque<held> waiting;
    {
      const std::lock_guard guard(mutex_);
      ledger_ = std::move(own);
      placed_ = placed;
      waiting.swap(held_);
    }
    for (const held& h : waiting) h.at->forward(*h.who, h.shape, h.order);
  }
  /// What runs in the group gets its resources from it. Null until the group is placed or gone.
  ledger* opened() const {
    const std::lock_guard guard(mutex_);
    return ledger_.get();
  }

  /// GPUs that hold all bundles. Parts of GPUs that need more than one take whole ones.
  static resource_amount whole_gpus(const group_spec& spec) {
    constexpr std::int64_t one = resource_amount::units_per_one;
    std::int64_t whole = 0;
    std::vector<std::int64_t> parts;
    for (const resource_set& bundle : spec.bundles) {
      const std::int64_t units = bundle.get(gpu_name).units();
      whole += units / one;
      if (units % one != 0) parts.push_back(units % one);
    }
    std::sort(parts.rbegin(), parts.rend());
    std::vector<std::int64_t> free;
    for (const std::int64_t part : parts) {
      auto at = std::find_if(free.begin(), free.end(), [&](auto left) { return left >= part; });
      if (at == free.end()) at = free.insert(free.end(), one);
      *at -= part;
    }
    const auto shared = static_cast<std::int64_t>(free.size());
    if (whole == 0 && shared == 1) return resource_amount::from_units(one - free.front());
    return resource_amount::from_units((whole + shared) * one);
  }
  static resource_set total_of(const group_spec& spec) {
    resource_set total;
    for (std::size_t i = 0; i < spec.bundles.size(); ++i) {
      total += spec.bundles[i];
      for (const auto& [name, amount] : spec.bundles[i]) {
        total.set(name + bundle_mark + std::to_string(i), amount);
      }
    }
    return total;
  }
  static resource_set in_bundle(resource_set demand, int index) {
    if (index < 0) return demand;
    resource_set result = demand;
    for (const auto& [name, amount] : demand) {
      result.set(name + bundle_mark + std::to_string(index), amount);
    }
    return result;
  }
  detail::value_object<void>& signal() const {
    return static_cast<detail::value_object<void>&>(*ready);
  }

  runtime& runtime_;
  resource_set sum_;
  shape_id shape_ = 0;
  std::string why_;  // set by `ask`, before anybody else sees the group, as the next one
  bool asked_ = false;
  mutable std::mutex mutex_;
  bool placed_ = false;  // guarded by mutex_, as below
  std::unique_ptr<ledger> ledger_;
  std::deque<held> held_;
  std::map<int, std::unique_ptr<share>> shares_;
};

local_groups::local_groups(runtime& of, ender end) : runtime_(of), end_(std::move(end)) {}
local_groups::~local_groups() = default;

placement_group_id local_groups::create(group_spec wanted) {
  std::shared_ptr<group> made;
  placement_group_id id;
  {
    const std::lock_guard guard(mutex_);
    const auto key = std::pair(wanted.in_namespace, wanted.name);
    if (!wanted.name.empty() && names_.count(key) != 0) {
      throw placement_error("the name '" + wanted.name + "' is taken by another placement group");
    }
    id = {runtime_.epoch, ++last_};
    if (!wanted.name.empty()) names_.emplace(key, id);
    made = std::make_shared<group>(runtime_, std::move(wanted));
    groups_.emplace(id, made);
  }
  made->ask();
  return id;
}

std::shared_ptr<local_groups::group> local_groups::find_group(placement_group_id id) {
  const std::lock_guard guard(mutex_);
  const auto at = groups_.find(id);
  return at == groups_.end() ? nullptr : at->second;
}

detail::object_ptr local_groups::ready(placement_group_id id) {
  if (const auto of = find_group(id)) return of->ready;
  return detail::failed_object<void>(failure_of("the placement group was removed"));
}

void local_groups::remove(placement_group_id id) noexcept {
  std::shared_ptr<group> gone;
  {
    const std::lock_guard guard(mutex_);
    const auto at = groups_.find(id);
    if (at == groups_.end()) return;
    gone = std::move(at->second);
    groups_.erase(at);
    if (!gone->spec.name.empty()) names_.erase({gone->spec.in_namespace, gone->spec.name});
    if (gone->used()) used_.push_back(gone);
  }
  const std::string text = (gone->spec.name.empty() ? "its placement group"
                                                    : "placement group '" + gone->spec.name + "'") +
                           " is gone: it was removed";
  const detail::failure_ptr why = failure_of(text);
  if (gone->used()) end_(id, why, text);
  gone->end(why);
}

placement_groups::found local_groups::find(std::string_view name, std::string_view in_namespace) {
  const std::lock_guard guard(mutex_);
  const auto at = names_.find({std::string(in_namespace), std::string(name)});
  if (at == names_.end()) return {};
  return {at->second, groups_.at(at->second)->spec.bundles.size()};
}

std::vector<placement_group_info> local_groups::list() {
  std::vector<placement_group_info> result;
  const std::lock_guard guard(mutex_);
  for (const auto& [id, of] : groups_) {
    const bool placed = of->placed();
    placement_group_info info;
    info.id = id;
    info.name = of->spec.name;
    info.in_namespace = of->spec.in_namespace;
    info.strategy = of->spec.strategy;
    info.state = placed ? "created" : "pending";
    if (!placed) info.why = of->why();
    info.detached = of->spec.detached;
    for (const resource_set& one : of->spec.bundles) {
      info.bundles.push_back(to_map(one));
      info.nodes.emplace_back(placed ? node_name() : "");
    }
    result.push_back(std::move(info));
  }
  return result;
}

capacity& local_groups::bundle(placement_group_id id, int index, const resource_set& demand,
                               std::string_view who) {
  const std::string asking = "'" + std::string(who) + "' cannot run: ";
  const auto of = find_group(id);
  if (!of) throw placement_error(asking + "its placement group was removed");
  const std::vector<resource_set>& bundles = of->spec.bundles;
  const auto count = static_cast<int>(bundles.size());
  if (index >= count) {
    throw placement_error(asking + "its placement group has " + std::to_string(count) +
                          " bundles, and no bundle " + std::to_string(index));
  }
  const auto fits = [&](const resource_set& one) { return demand.fits_in(one); };
  if (index >= 0 ? !fits(bundles[static_cast<std::size_t>(index)])
                 : std::none_of(bundles.begin(), bundles.end(), fits)) {
    throw placement_error(asking + "it needs " + demand.to_string() + ", which " +
                          (index >= 0 ? "bundle " + std::to_string(index) + " does not have"
                                      : "no bundle of its placement group has"));
  }
  return of->share_of(index);
}

}  // namespace troupe::core
