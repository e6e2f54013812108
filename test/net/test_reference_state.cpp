// How long an object lives for holders in other processes.
#include <algorithm>
#include <random>
#include <vector>

#include "net/reference_state.hpp"
#include "test/support/catch.hpp"

using troupe::net::process_id;
using troupe::net::reference_state;

TEST_CASE("what one holder got and let go of is free") {
  reference_state state;
  CHECK_FALSE(state.change(1, 10, 2));
  CHECK_FALSE(state.change(1, 10, -1));
  CHECK(state.held(1));
  CHECK(state.change(1, 10, -1));
  CHECK_FALSE(state.held(1));
  CHECK(state.size() == 0);
}

TEST_CASE("a holder that lets go before its owner heard of it keeps nothing and frees nothing") {
  reference_state state;
  CHECK_FALSE(state.change(1, 10, 1));   // 10 got it from the owner, and passes it to 20
  CHECK_FALSE(state.change(1, 20, -1));  // 20 has let go already
  CHECK_FALSE(state.change(1, 20, 1));   // now the word of 10 that 20 got it
  CHECK(state.change(1, 10, -1));
}

TEST_CASE("a holder that dies holds nothing any more") {
  reference_state state;
  state.change(1, 10, 3);
  state.change(2, 10, 1);
  state.change(2, 20, 1);
  CHECK(state.forget(10) == std::vector<std::uint64_t>{1});
  CHECK(state.held(2));
  CHECK(state.change(2, 20, -1));
}

TEST_CASE(
    "a ref that wanders is free when all have let go, and not before, in any order of words") {
  // Each process tells of a receiver before it lets go of its own; words of one process keep order.
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::minstd_rand random(seed + 1);
    constexpr int processes = 5;
    struct word {
      process_id holder;
      int by;
    };
    std::vector<std::vector<word>> said(processes);  // by speaker, in order; 0 is the owner
    std::vector<int> held(processes, 0);
    held[0] = 1;
    said[0].push_back({100, 1});
    for (int step = 0; step < 40; ++step) {
      std::vector<int> holders;
      for (int p = 0; p < processes; ++p) {
        if (held[p] > 0) holders.push_back(p);
      }
      if (holders.empty()) break;
      const int who = holders[random() % holders.size()];
      if (random() % 2 == 0) {
        const int to = static_cast<int>(random() % processes);
        said[who].push_back({static_cast<process_id>(100 + to), 1});
        ++held[to];
      } else {
        said[who].push_back({static_cast<process_id>(100 + who), -1});
        --held[who];
      }
    }
    for (int p = 0; p < processes; ++p) {
      for (; held[p] > 0; --held[p]) said[p].push_back({static_cast<process_id>(100 + p), -1});
    }
    // The words arrive in any order that keeps each speaker's, but a process speaks of what it got
    // only after its giver spoke: here each word arrives at once or late.
    reference_state state;
    std::vector<std::size_t> next(processes, 0);
    bool freed = false;
    bool sound = true;
    std::size_t left = 0;
    for (const auto& mine : said) left += mine.size();
    state.change(1, 999, 1);  // the words are on their way: nothing is free before the last
    while (left > 0) {
      const int p = static_cast<int>(random() % processes);
      if (next[p] == said[p].size()) continue;
      const word& w = said[p][next[p]++];
      --left;
      if (state.change(1, w.holder, w.by)) freed = true;
    }
    sound = !freed && state.change(1, 999, -1);
    CHECK(sound);
  }
}
