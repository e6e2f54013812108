/// Which of this process's device memory others have, and until when.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace troupe::gpu {

/// Names one loan: what travels to the borrower.
using loan_id = std::uint64_t;
using memory_id = std::uint64_t;
using borrower_id = std::uint64_t;

/// Pure, thread-compatible. A loan is made for one borrower who is not known yet; it is kept for a
/// while, then claimed and kept until the borrower gives it back or ends. What nobody has any more
/// is told once.
class lending_state {
 public:
  using time = std::chrono::steady_clock::time_point;
  /// How long a loan that travels waits for its borrower.
  static constexpr std::chrono::seconds patience{60};

  explicit lending_state(loan_id first = 1) : next_(first) {}

  loan_id lend(time now, memory_id what);
  /// The borrower of the loan has come. False when there is no such loan, or it is another's.
  bool claim(borrower_id who, loan_id loan);
  /// What it is a loan of; nothing when it is not this borrower's.
  std::optional<memory_id> find(borrower_id who, loan_id loan) const;
  /// A further loan of the same, for one to whom the borrower passes it on.
  std::optional<loan_id> lend_again(time now, borrower_id who, loan_id loan);
  void give_back(borrower_id who, loan_id loan);
  /// The borrower has ended.
  void gone(borrower_id who);
  /// Ends loans that nobody has claimed in time.
  void expire(time now);
  std::optional<time> next_expiry() const;

  /// Memory that nobody has any more, each once.
  std::vector<memory_id> take_free() { return std::exchange(free_, {}); }
  std::size_t size() const noexcept { return loans_.size(); }

 private:
  struct entry {
    memory_id what;
    std::optional<borrower_id> of;  ///< none: not claimed
    time until;
  };
  void end(std::map<loan_id, entry>::iterator which);

  loan_id next_;
  std::map<loan_id, entry> loans_;
  std::map<memory_id, std::size_t> counts_;
  std::vector<memory_id> free_;
};

}  // namespace troupe::gpu
