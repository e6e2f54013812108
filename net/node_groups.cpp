// The part of node_state that deals with bundles of placement groups.
#include <algorithm>

#include "net/demand.hpp"
#include "net/node_state.hpp"

namespace troupe::net {
namespace {

std::string of_bundle(const std::string& name, std::uint32_t bundle) {
  return name + bundle_mark + std::to_string(bundle);
}

}  // namespace

// -- reservations ---------------------------------------------------------------------------------

void node_state::received(time now, process_id, prepare_bundles what) {
  bundles_prepared answer;
  answer.group = what.group;
  answer.attempt = what.attempt;
  answer.done = !ending_ && reserve(what);
  answer.available = to_demand(own_.ledger.available());
  send(settings_.head.id, std::move(answer));
  changed();
  serve(now);
}

/// All of it or nothing, and now: what waits here is passed over, so that no group waits for
/// another one.
bool node_state::reserve(const prepare_bundles& what) {
  if (reservations_.count({what.group, what.attempt}) != 0) return true;
  std::vector<core::resource_set> amounts;
  core::resource_set sum;
  std::string wrong;
  for (const prepare_bundles::bundle& one : what.bundles) {
    auto amount = to_resources(one.amount, wrong);
    if (!amount) return false;
    sum += *amount;
    amounts.push_back(std::move(*amount));
  }
  if (own_.ledger.never_fits(sum)) return false;
  const core::shape_id shape = own_.ledger.intern(sum);
  if (!own_.ledger.try_acquire(shape)) return false;

  std::vector<core::gpu_share> gpus;
  for (const core::resource_set& amount : amounts) {
    auto share = own_.gpus.take(amount.get(core::gpu_name));
    if (!share) {
      for (const core::gpu_share& taken : gpus) own_.gpus.give_back(taken);
      own_.ledger.release(shape, granted_);
      return false;
    }
    gpus.push_back(std::move(*share));
  }
  core::resource_set total = sum;
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    for (const auto& [name, amount] : amounts[i]) {
      total.set(of_bundle(name, what.bundles[i].index), amount);
    }
  }
  reservation& made =
      reservations_.try_emplace({what.group, what.attempt}, total, core::gpu_ids(gpus))
          .first->second;
  made.amount = sum;
  made.shape = shape;
  made.gpus = std::move(gpus);
  for (const prepare_bundles::bundle& one : what.bundles) made.bundles.push_back(one.index);
  return true;
}

void node_state::received(time, process_id, commit_bundles what) {
  const auto found = reservations_.find({what.group, what.attempt});
  if (found == reservations_.end()) return;
  found->second.committed = true;
  for (auto& [key, made] : reservations_) {
    if (key.first == what.group) made.alone = what.alone;
  }
}

void node_state::received(time now, process_id, drop_bundles what) {
  for (auto at = reservations_.lower_bound({what.group, what.attempt});
       at != reservations_.end() && at->first.first == what.group;) {
    if (what.attempt != 0 && at->first.second != what.attempt) break;
    free_reservation(now, at->second, what.why);
    at = reservations_.erase(at);
  }
  serve(now);
  send(settings_.head.id, bundles_dropped{to_demand(own_.ledger.available())});
  changed();
}

void node_state::free_reservation(time now, reservation& gone, const std::string& why) {
  pool* const in = &gone.resources;
  std::vector<ticket> waiting;
  for (const auto& [id, r] : requests_) {
    if (r.in == in) waiting.push_back(id);
  }
  for (const ticket id : waiting) back_to_control(requests_.at(id));
  std::vector<lease_id> begun;
  for (const auto& [id, l] : leases_) {
    if (l.in == in) begun.push_back(id);
  }
  for (const lease_id id : begun) {
    const lease& of = leases_.at(id);
    send(of.owner, lease_revoked{id, why});
    worker* const on = find_worker(of.worker);
    if (on != nullptr && on->isolated) retire(now, *on, settings_.lease_grace);
    end_lease(now, id, true);
  }
  gpu_ids_freed_.erase(in);
  own_.ledger.release(gone.shape, granted_);
  for (const core::gpu_share& share : gone.gpus) {
    own_.gpus.give_back(share);
    if (!share.ids.empty()) gpu_ids_freed_.insert(&own_);
  }
}

// -- requests in a group --------------------------------------------------------------------------

void node_state::decide_in_group(request& which) {
  std::string wrong;
  const core::resource_set wanted = *to_resources(which.asked.wanted, wrong);
  reservation* best = nullptr;
  core::resource_set best_wanted;
  for (auto at = reservations_.lower_bound({which.asked.group, 0});
       at != reservations_.end() && at->first.first == which.asked.group; ++at) {
    reservation& made = at->second;
    core::resource_set here = wanted;
    if (which.asked.bundle >= 0) {
      const auto bundle = static_cast<std::uint32_t>(which.asked.bundle);
      if (std::count(made.bundles.begin(), made.bundles.end(), bundle) == 0) continue;
      for (const auto& [name, amount] : wanted) here.set(of_bundle(name, bundle), amount);
    }
    if (!made.committed || made.resources.ledger.never_fits(here)) continue;
    const bool now = here.fits_in(made.resources.ledger.available());
    if (best != nullptr && !now) continue;
    best = &made;
    best_wanted = std::move(here);
    if (now) break;
  }
  if (best == nullptr) return back_to_control(which);
  which.in = &best->resources;
  which.wanted = std::move(best_wanted);
  queue(which);
}

/// The control knows where the bundle is now, or that there is none any more.
void node_state::back_to_control(request& which) {
  drop(which);
  send(which.owner, lease_redirected{which.asked.request, settings_.head, false});
  erase(which);
}

/// A request for any bundle that waits here is perhaps served at once by one of another node.
void node_state::bounce_group_requests() {
  if (reservations_.empty()) return;
  std::set<const pool*> spread;
  for (const auto& [key, made] : reservations_) {
    if (!made.alone) spread.insert(&made.resources);
  }
  if (spread.empty()) return;
  std::vector<ticket> waiting;
  for (const auto& [id, r] : requests_) {
    const bool granted = std::find(granted_.begin(), granted_.end(), id) != granted_.end();
    if (r.phase == request_phase::queued && r.asked.group && r.asked.bundle < 0 && !granted &&
        spread.count(r.in) != 0) {
      waiting.push_back(id);
    }
  }
  for (const ticket id : waiting) back_to_control(requests_.at(id));
}

}  // namespace troupe::net
