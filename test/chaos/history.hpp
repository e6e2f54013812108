/// What the ledgers and their callers wrote down, and whether it could have happened by the rules
/// of docs/actors.md. Pure: reads texts, gives sentences about what is wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace chaos {

/// One incarnation of an actor.
struct life {
  std::int64_t pid = 0;
  std::int64_t id = 0;
  std::int64_t first = 0;  ///< time of its first sign
  std::int64_t last = 0;
  std::vector<std::int64_t> calls;
};

enum class promise : std::uint8_t {
  at_most_once,  ///< max_task_retries = 0: a call whose actor dies fails, or was done
  retried,       ///< max_task_retries = -1: every call is answered and counts; once in each life
};

/// The lives in a ledger's file, by their first sign.
std::vector<life> lives_of(const std::string& ledger);

/// That no two lives overlap, and that the calls of one caller ran as promised. `calls`: the lines
/// `sent|acked|failed NUMBER` of that caller. `name` begins each sentence.
std::vector<std::string> check_history(const std::string& name, const std::string& ledger,
                                       const std::string& calls, promise promised);

}  // namespace chaos
