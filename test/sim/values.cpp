#include "test/sim/values.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "test/sim/daemon.hpp"
#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr std::size_t most_objects = 12;

enum record : std::uint64_t { value_told = 140 };

}  // namespace

value_part::value_part(simulation& sim, program& in)
    : sim_(sim), in_(in), random_(sim.w.random.fork()) {}

node_store* value_part::store() const {
  daemon* const of = sim_.find_node(in_.node());
  return of == nullptr ? nullptr : &of->store();
}

// -- the program ----------------------------------------------------------------------------------

void value_part::work(rng& draw) {
  if (objects_.size() < most_objects) {
    if (draw.chance(0.1)) put(draw);
    if (draw.chance(0.3)) {
      const std::uint64_t version = sim_.next_version();
      object& made = objects_[version];
      made.version = version;
      made.size = net::block_allocator::unit * static_cast<std::uint64_t>(draw.between(1, 12));
      made.by_task = true;
      constexpr std::int32_t retries[] = {0, 1, 3, 3, -1};
      made.most = retries[draw.below(5)];
      for (const auto& [other, of] : objects_) {
        const bool usable = of.wanted && of.state == phase::ready;
        if (usable && made.arguments.size() < 2 && draw.chance(0.15)) {
          made.arguments.push_back(other);
        }
      }
      run_maker(made, 0, draw);
    }
  }
  std::vector<std::uint64_t> unwanted;
  for (auto& [version, of] : objects_) {
    if (of.state == phase::being_made || !of.wanted) continue;
    if (of.state == phase::failed || draw.chance(0.02)) {
      if (of.readers == 0 && !of.rebuilding) unwanted.push_back(version);
      continue;
    }
    if (draw.chance(0.3)) read_by_task(of, draw);
    if (draw.chance(0.2)) read_here(of);
  }
  for (const std::uint64_t version : unwanted) drop(version);
}

void value_part::put(rng& draw) {
  const std::uint64_t version = sim_.next_version();
  object& made = objects_[version];
  made.version = version;
  made.size = net::block_allocator::unit * static_cast<std::uint64_t>(draw.between(1, 12));
  ++putting_;
  make({false, version, made.size, {}, in_.id(), 0, {}},
       [version](program& self, net::stored_id id) {
         value_part& here = self.values();
         here.putting_ -= std::min<std::size_t>(here.putting_, 1);
         const auto at = here.objects_.find(version);
         if (at == here.objects_.end()) return;
         at->second.state = id ? phase::ready : phase::failed;
         at->second.first = at->second.now = id;
         if (id) self.net().send(id.owner, net::claim_value{id});
       });
}

void value_part::run_maker(object& of, std::int32_t attempt, rng& draw) {
  value_order order{false, of.version, of.size, {}, in_.id(), of.most, {}};
  for (const std::uint64_t version : of.arguments) {
    object& argument = objects_.at(version);
    ++argument.handles;
    order.needs.push_back(
        {true, version, argument.size, argument.now, in_.id(), argument.most, {}});
  }
  const std::uint64_t task = in_.submit_value(order, of.most, attempt, draw);
  makers_[task] = of.version;
}

void value_part::read_by_task(object& of, rng& draw) {
  ++of.readers;
  const std::uint64_t task =
      in_.submit_value({true, of.version, of.size, of.now, in_.id(), 0, {}}, 3, 0, draw);
  readers_[task] = of.version;
}

void value_part::read_here(object& of) {
  ++of.readers;
  const value_order order{true, of.version, of.size, of.now, in_.id(), 0, {}};
  read(order, [version = of.version](program& self, bool) {
    const auto at = self.values().objects_.find(version);
    if (at != self.values().objects_.end()) --at->second.readers;
  });
}

/// The program lets go of its ref.
void value_part::drop(std::uint64_t version) {
  objects_.at(version).wanted = false;
  release(version);
}

/// A handle ends; with the last one the value is freed.
void value_part::release(std::uint64_t version) {
  object& of = objects_.at(version);
  if (--of.handles == 0) free_place(of);
  erase_if_unused(version);
}

void value_part::free_place(object& of) {
  if (of.now && !std::exchange(of.freed, true)) {
    in_.net().send(of.now.owner, net::drop_value{of.now});
  }
}

void value_part::erase_if_unused(std::uint64_t version) {
  const auto at = objects_.find(version);
  const object& of = at->second;
  if (of.wanted || of.handles > 0 || of.lineages > 0 || of.rebuilding) return;
  const object gone = of;
  objects_.erase(at);
  if (gone.first) {
    for (const auto& one : known_.forget(gone.first)) answer(one, nullptr);
  }
  if (!gone.keeps_arguments) return;
  for (const std::uint64_t argument : gone.arguments) {
    --objects_.at(argument).lineages;
    erase_if_unused(argument);
  }
}

void value_part::end_all() {
  for (const auto& [version, gone] : std::exchange(objects_, {})) {
    if (!gone.first) continue;
    for (const auto& one : known_.forget(gone.first)) answer(one, nullptr);
  }
  makers_.clear();
  readers_.clear();
  questions_.clear();
  reading_ = putting_ = holding_ = 0;
}

std::string value_part::waits_for() const {
  if (!has_pending()) return {};
  const std::string text =
      std::to_string(reading_) + " reads, " + std::to_string(holding_) + " values to come";
  if (questions_.empty()) return text + ", at its store";
  return text + "; its owner is asked for " + value_name(questions_.begin()->first);
}

// -- the owner ------------------------------------------------------------------------------------

value_part::object* value_part::find(net::stored_id id) {
  const auto at = std::find_if(objects_.begin(), objects_.end(), [id](const auto& entry) {
    return entry.second.now == id || entry.second.first == id;
  });
  return at == objects_.end() ? nullptr : &at->second;
}

void value_part::task_ended(std::uint64_t task, bool failed, std::int32_t attempt,
                            net::stored_id result) {
  if (const auto reader = readers_.find(task); reader != readers_.end()) {
    const auto of = objects_.find(reader->second);
    if (of != objects_.end()) --of->second.readers;
    readers_.erase(reader);
    return;
  }
  const auto maker = makers_.find(task);
  if (maker == makers_.end()) return;
  const std::uint64_t version = maker->second;
  makers_.erase(maker);
  maker_ended(objects_.at(version), failed, attempt, result);
  const std::vector<std::uint64_t> arguments = objects_.at(version).arguments;
  erase_if_unused(version);
  for (const std::uint64_t argument : arguments) release(argument);
}

void value_part::maker_ended(object& of, bool failed, std::int32_t attempt, net::stored_id result) {
  of.attempt = attempt;
  if (!failed) {
    in_.net().learn(result.owner);
    in_.net().send(result.owner, net::claim_value{result});
  }
  if (std::exchange(of.rebuilding, false)) {
    if (!failed) {
      free_place(of);
      of.now = result;
      of.freed = false;
      if (of.handles == 0) free_place(of);
      ++sim_.watch.counted.rebuilt;
    }
    const auto waiting =
        failed ? known_.failed(of.first, attempt) : known_.rebuilt(of.first, result, attempt);
    for (const auto& one : waiting) answer(one, failed ? nullptr : &of);
    return;
  }
  of.state = failed ? phase::failed : phase::ready;
  if (failed) return;
  of.first = of.now = result;
  if (of.most == 0) {
    known_.keep_not(result, "its task has max_retries = 0");
  } else {
    known_.keep(result, 1, of.most, attempt);
    of.keeps_arguments = true;
    for (const std::uint64_t argument : of.arguments) ++objects_.at(argument).lineages;
  }
}

void value_part::on(process_id from, const net::rebuild_value& what) { lost(from, what.value); }

void value_part::lost(process_id who, net::stored_id value) {
  const net::rebuild_state::verdict verdict = known_.lost(value, who);
  object* const of = find(value);
  sim_.w.record(value_told, value.local, verdict.index(), [&] {
    constexpr const char* what[] = {"runs its task again", "waits for that", "lies elsewhere",
                                    "is lost"};
    return value_name(value) + ", which " + std::to_string(who % 1'000'000) + " cannot read, " +
           what[verdict.index()];
  });
  const auto lives = [this](process_id id) {
    const auto program = sim_.programs.find(id);
    return sim_.net.lives(id) && !sim_.watch.is_declared_dead(id) &&
           (program == sim_.programs.end() ||
            !sim_.watch.is_declared_dead(program->second->node()));
  };
  if (of != nullptr && of->now == value && !of->freed && lives(value.owner) && lives(in_.id()) &&
      lives(who) && !std::holds_alternative<net::rebuild_state::under_way>(verdict)) {
    throw violation(value_name(value) + " cannot be read, and its node lives");
  }
  if (std::holds_alternative<net::rebuild_state::hopeless>(verdict)) {
    const bool may =
        of == nullptr || !of->by_task || of->most == 0 || (of->most > 0 && of->attempt >= of->most);
    if (!may) throw violation(value_name(value) + " is given up, and its task could run again");
    ++sim_.watch.counted.lost;
    answer({who, value}, nullptr);
  } else if (const auto* again = std::get_if<net::rebuild_state::run_again>(&verdict)) {
    if (of == nullptr) throw violation(value_name(value) + " is made again, and nobody has it");
    of->rebuilding = true;
    run_maker(*of, again->attempt, random_);
  } else if (std::holds_alternative<net::rebuild_state::lies_elsewhere>(verdict)) {
    const auto& elsewhere = std::get<net::rebuild_state::lies_elsewhere>(verdict);
    answer({who, value}, find(elsewhere.value));
  }
}

void value_part::answer(const net::rebuild_state::asked& to, const object* now) {
  net::value_rebuilt told;
  told.value = to.value;
  told.failed = now == nullptr;
  if (now != nullptr) {
    told.now = now->now;
    told.home = sim_.net.peer_of(now->now.owner);
  }
  in_.net().send(to.who, std::move(told));
}

}  // namespace troupe::sim
