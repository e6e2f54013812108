#include "core/ledger_state.hpp"

#include <algorithm>
#include <utility>

namespace troupe::core {
namespace {

std::string describe(const std::string& name, resource_amount amount) {
  return amount.to_string() + (name == memory_name ? " bytes of memory" : " " + name);
}

}  // namespace

ledger_state::ledger_state(resource_set total) : total_(std::move(total)) {
  names_.emplace_back(cpu_name);
  for (const auto& [name, amount] : total_) {
    if (name != cpu_name) names_.push_back(name);
  }
  for (const std::string& name : names_) total_units_.push_back(total_.get(name).units());
  available_ = total_units_;
  unclaimed_ = total_units_;
}

ledger_state::resource_id ledger_state::id_of(const std::string& name) const {
  const auto at = std::find(names_.begin(), names_.end(), name);
  TROUPE_ASSERT(at != names_.end(), "a demand that fits in the total names no other resource");
  return static_cast<resource_id>(at - names_.begin());
}

shape_id ledger_state::intern(const resource_set& demand) {
  if (const auto known = ids_.find(demand); known != ids_.end()) return known->second;
  const auto id = static_cast<shape_id>(shapes_.size());
  shape_state shape{.demand = demand,
                    .needs = {},
                    .feasible = demand.fits_in(total_),
                    .resumes = {.shape = id, .order = grant_order::resume},
                    .normals = {.shape = id, .order = grant_order::normal}};
  if (shape.feasible) {
    for (const auto& [name, amount] : demand) shape.needs.push_back({id_of(name), amount.units()});
    std::sort(shape.needs.begin(), shape.needs.end(),
              [](const need& a, const need& b) { return a.resource > b.resource; });
  }
  shapes_.push_back(std::move(shape));
  ids_.emplace(demand, id);
  return id;
}

const resource_set& ledger_state::demand(shape_id shape) const { return shapes_.at(shape).demand; }

std::optional<std::string> ledger_state::never_fits(const resource_set& demand) const {
  std::string text;
  for (const auto& [name, amount] : demand) {
    const resource_amount have = total_.get(name);
    if (amount <= have) continue;
    if (!text.empty()) text += "; ";
    text += "needs " + describe(name, amount) + ", the runtime has " +
            (have.units() == 0 ? "none" : describe(name, have));
  }
  if (text.empty()) return std::nullopt;
  return text;
}

bool ledger_state::fits_now(shape_id shape) const {
  const shape_state& s = shapes_.at(shape);
  return s.feasible && fits(s.needs, available_);
}

bool ledger_state::try_acquire(shape_id shape) {
  const shape_state& s = shapes_.at(shape);
  if (!s.feasible || !can_grant_new(s, grant_order::normal)) return false;
  take(s.needs);
  count_pass_over(s.needs, line_.size());
  return true;
}

void ledger_state::request(ticket id, shape_id shape, grant_order order,
                           std::vector<ticket>& granted) {
  shape_state& s = shapes_.at(shape);
  TROUPE_ASSERT(s.feasible, "a request that never fits is refused before it reaches the ledger");
  if (!can_grant_new(s, order)) {
    enqueue(id, order == grant_order::resume ? s.resumes : s.normals);
    return;
  }
  take(s.needs);
  if (order == grant_order::normal) count_pass_over(s.needs, line_.size());
  granted.push_back(id);
}

bool ledger_state::withdraw(ticket id, std::vector<ticket>& granted) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return false;
  entry& e = found->second;
  const bool had_claim = e.home->first == &e && has_claim(*e.home);
  remove(e);
  // Without a claim it kept nothing from anybody.
  if (had_claim) settle(granted);
  return true;
}

void ledger_state::release(shape_id shape, std::vector<ticket>& granted) {
  const shape_state& s = shapes_.at(shape);
  TROUPE_ASSERT(s.feasible, "what is released was granted");
  for (const need& n : s.needs) {
    available_[n.resource] += n.units;
    TROUPE_ASSERT(available_[n.resource] <= total_units_[n.resource],
                  "no more is released than was granted");
  }
  if (!line_.empty()) settle(granted);
}

resource_set ledger_state::available() const {
  resource_set set;
  for (std::size_t r = 0; r < names_.size(); ++r) {
    set.set(names_[r], resource_amount::from_units(available_[r]));
  }
  return set;
}

std::vector<ledger_state::waiting_demand> ledger_state::pending() const {
  std::vector<shape_id> waiting_shapes;
  for (const queue* q : line_) waiting_shapes.push_back(q->shape);
  std::sort(waiting_shapes.begin(), waiting_shapes.end());
  waiting_shapes.erase(std::unique(waiting_shapes.begin(), waiting_shapes.end()),
                       waiting_shapes.end());
  std::vector<waiting_demand> result;
  for (const shape_id id : waiting_shapes) {
    const shape_state& s = shapes_[id];
    result.push_back({s.demand, s.resumes.count + s.normals.count});
  }
  return result;
}

bool ledger_state::fits(const std::vector<need>& needs, const std::vector<std::int64_t>& free) {
  return std::all_of(needs.begin(), needs.end(),
                     [&](const need& n) { return n.units <= free[n.resource]; });
}

bool ledger_state::share_a_resource(const std::vector<need>& a, const std::vector<need>& b) {
  for (const need& x : a) {
    for (const need& y : b) {
      if (x.resource == y.resource) return true;
    }
  }
  return false;
}

void ledger_state::take(const std::vector<need>& needs) {
  for (const need& n : needs) {
    available_[n.resource] -= n.units;
    TROUPE_ASSERT(available_[n.resource] >= 0, "no more is granted than is free");
  }
}

bool ledger_state::has_claim(const queue& q) {
  return q.order == grant_order::resume || q.passes - q.first->passes_before >= max_pass_overs;
}

void ledger_state::claim(const queue& q) {
  for (const need& n : needs(q)) {
    std::int64_t& free = unclaimed_[n.resource];
    if (free < n.units) {
      free = 0;
      return;
    }
    free -= n.units;
  }
}

void ledger_state::subtract_claims_before_new(grant_order order) {
  unclaimed_ = available_;
  const std::size_t end = order == grant_order::resume ? resumes_in_line_ : line_.size();
  for (std::size_t i = 0; i < end; ++i) {
    if (has_claim(*line_[i])) claim(*line_[i]);
  }
}

bool ledger_state::can_grant_new(const shape_state& shape, grant_order order) {
  if (line_.empty() || shape.needs.empty()) return fits(shape.needs, available_);
  // What keeps an older one of the same kind waiting keeps this one waiting.
  const queue& own = order == grant_order::resume ? shape.resumes : shape.normals;
  if (own.count > 0 || !fits(shape.needs, available_)) return false;
  subtract_claims_before_new(order);
  return fits(shape.needs, unclaimed_);
}

bool ledger_state::count_pass_over(const std::vector<need>& needs_of_granted, std::size_t end) {
  bool new_claim = false;
  for (std::size_t i = resumes_in_line_; i < end; ++i) {
    queue& q = *line_[i];
    if (!share_a_resource(needs_of_granted, needs(q))) continue;
    const bool had_claim = has_claim(q);
    ++q.passes;
    if (!had_claim && has_claim(q)) new_claim = true;
  }
  return new_claim;
}

void ledger_state::settle(std::vector<ticket>& granted) {
  unclaimed_ = available_;
  std::size_t i = 0;
  while (i < line_.size()) {
    queue& q = *line_[i];
    if (!fits(needs(q), unclaimed_)) {
      if (has_claim(q)) claim(q);
      ++i;
      continue;
    }
    take(needs(q));
    for (const need& n : needs(q)) unclaimed_[n.resource] -= n.units;
    granted.push_back(q.first->id);
    const bool new_claim = q.order == grant_order::normal && count_pass_over(needs(q), i);
    remove(*q.first);  // puts another queue at `i`, or the same again if its next one is in turn
    if (new_claim) {
      unclaimed_ = available_;
      i = 0;
    }
  }
}

void ledger_state::enqueue(ticket id, queue& q) {
  const auto [at, added] = waiting_.try_emplace(id);
  TROUPE_ASSERT(added, "a ticket waits once");
  entry& e = at->second;
  e = {.id = id,
       .arrival = next_arrival_++,
       .passes_before = q.passes,
       .home = &q,
       .previous = q.last,
       .next = nullptr};
  if (q.first == nullptr) {
    q.first = &e;
    // The newest of all: last among those of its order.
    if (q.order == grant_order::resume) {
      line_.insert(line_.begin() + static_cast<std::ptrdiff_t>(resumes_in_line_++), &q);
    } else {
      line_.push_back(&q);
    }
  } else {
    q.last->next = &e;
  }
  q.last = &e;
  ++q.count;
}

void ledger_state::remove(entry& e) {
  queue& q = *e.home;
  const bool was_oldest = q.first == &e;
  (was_oldest ? q.first : e.previous->next) = e.next;
  (q.last == &e ? q.last : e.next->previous) = e.previous;
  --q.count;
  waiting_.erase(e.id);
  if (!was_oldest) return;

  const auto at = std::find(line_.begin(), line_.end(), &q);
  if (q.first == nullptr) {
    line_.erase(at);
    if (q.order == grant_order::resume) --resumes_in_line_;
    return;
  }
  // Its oldest is younger now: the queue moves behind those whose oldest arrived before.
  auto behind = at + 1;
  while (behind != line_.end() && (*behind)->order == q.order &&
         (*behind)->first->arrival < q.first->arrival) {
    ++behind;
  }
  std::rotate(at, at + 1, behind);
}

}  // namespace troupe::core
