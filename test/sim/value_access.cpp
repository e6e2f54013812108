// How simulated processes make and read large values.
#include <algorithm>
#include <utility>

#include "test/sim/program.hpp"
#include "test/sim/simulation.hpp"
#include "test/sim/values.hpp"

namespace troupe::sim {

void value_part::make(const value_order& what, std::function<void(program&, net::stored_id)> done) {
  make_from(what, {}, std::move(done));
}

/// All its arguments are held while it is made.
void value_part::make_from(const value_order& what, std::vector<node_store::answer> arguments,
                           std::function<void(program&, net::stored_id)> done) {
  if (arguments.size() == what.needs.size()) {
    return write(what, [what, arguments, done](program& self, net::stored_id made) {
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        self.values().check(what.needs[i], arguments[i]);
      }
      self.values().let_go(arguments);
      done(self, made);
    });
  }
  hold(what.needs[arguments.size()],
       [what, arguments, done](program& self, const node_store::answer* at) {
         if (at == nullptr) {
           self.values().let_go(arguments);
           return done(self, {});
         }
         std::vector<node_store::answer> more = arguments;
         more.push_back(*at);
         self.values().make_from(what, std::move(more), done);
       });
}

void value_part::let_go(const std::vector<node_store::answer>& all) {
  node_store* const there = store();
  if (there == nullptr) return;
  for (const node_store::answer& one : all) there->unpin(in_.id(), one.id);
}

void value_part::write(const value_order& what,
                       std::function<void(program&, net::stored_id)> done) {
  node_store* const there = store();
  if (there == nullptr) return;  // this process ends with it
  there->create(
      in_.id(), what.size, what.keeper, [what, done](program& self, const node_store::answer& at) {
        if (at.refused != net::store_refusal::none) return done(self, {});
        if (node_store* const to = self.values().store()) {
          to->write(at.offset, 0, what.size / 2, what.version);
        }
        self.later(self.values().random_.skewed(20us, 5ms), [what, done, at](program& me) {
          node_store* const to = me.values().store();
          if (to == nullptr) return;
          to->write(at.offset, 0, what.size, what.version);
          to->seal(me.id(), at.id);
          done(me, at.id);
        });
      });
}

void value_part::check(const value_order& what, const node_store::answer& at) const {
  const node_store* const there = store();
  if (there == nullptr) return;
  if (at.size != what.size || !there->has(at.offset, at.size, what.version)) {
    throw violation(value_name(at.id) + " is read, and is not what was made");
  }
}

void value_part::read(const value_order& what, read_done done) {
  ++reading_;
  const read_done ended = [done](program& self, bool succeeded) {
    self.values().reading_ -= std::min<std::size_t>(self.values().reading_, 1);
    ++(succeeded ? self.values().sim_.watch.counted.reads
                 : self.values().sim_.watch.counted.unread);
    done(self, succeeded);
  };
  hold(what, [what, ended](program& self, const node_store::answer* at) {
    if (at == nullptr) return ended(self, false);
    self.later(self.values().random_.skewed(10us, 30ms), [what, ended, at = *at](program& me) {
      me.values().check(what, at);
      me.values().let_go({at});
      ended(me, true);
    });
  });
}

void value_part::hold(const value_order& what, held done) {
  node_store* const there = store();
  if (there == nullptr) return;
  ++holding_;
  there->pin(in_.id(), what.id, [what, done](program& self, const node_store::answer& at) {
    value_part& here = self.values();
    if (at.refused == net::store_refusal::lost) {
      const auto [asked, first] = here.questions_.try_emplace(what.id);
      asked->second.keeper = what.keeper;
      asked->second.asked.emplace_back(what, done);
      if (!first) return;
      if (!self.net().send(what.keeper, net::rebuild_value{what.id, at.text})) {
        here.process_gone(what.keeper);
      }
      return;
    }
    here.holding_ -= std::min<std::size_t>(here.holding_, 1);
    if (at.refused != net::store_refusal::none) return done(self, nullptr);
    here.check(what, at);
    done(self, &at);
  });
}

void value_part::on(process_id, const net::value_rebuilt& what) {
  const auto at = questions_.find(what.value);
  if (at == questions_.end()) return;
  const question asked = std::move(at->second);
  questions_.erase(at);
  for (const auto& [order, done] : asked.asked) {
    --holding_;
    if (what.failed) {
      done(in_, nullptr);
      continue;
    }
    value_order again = order;
    again.id = what.now;
    hold(again, done);
  }
}

void value_part::process_gone(process_id gone) {
  known_.process_gone(gone);
  std::vector<held> hopeless;
  std::erase_if(questions_, [&](const auto& entry) {
    if (entry.second.keeper != gone) return false;
    for (const auto& [order, done] : entry.second.asked) hopeless.push_back(done);
    return true;
  });
  for (const held& one : hopeless) {
    --holding_;
    one(in_, nullptr);
  }
}

}  // namespace troupe::sim
