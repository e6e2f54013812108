#include "gpu/borrower.hpp"

#include <system_error>
#include <utility>

#include <troupe/error.hpp>

namespace troupe::gpu::detail {
namespace {

[[noreturn]] void lost(const std::string& why) {
  throw object_lost_error("a device array of another process is lost: " + why);
}

/// One link for each lender, while anybody has a loan of it.
std::shared_ptr<lender_link> link_to(const std::string& name) {
  static auto& mutex = *new std::mutex;
  static auto& links = *new std::map<std::string, std::weak_ptr<lender_link>>;
  const std::lock_guard guard(mutex);
  std::erase_if(links, [](const auto& one) { return one.second.expired(); });
  if (auto known = links[name].lock()) return known;
  try {
    auto made = std::make_shared<lender_link>(name);
    links[name] = made;
    return made;
  } catch (const std::system_error& error) {
    lost(std::string("the process that made it cannot be reached (") + error.what() + ")");
  }
}

}  // namespace

void lender_link::tell(wire::verb what, loan_id which) noexcept {
  const std::lock_guard guard(mutex_);
  static_cast<void>(wire::send_one(socket_.get(), wire::request{what, 0, which}));
}

wire::answer lender_link::ask_locked(wire::verb what, loan_id which, bool with_pool,
                                     core::descriptor* pool) {
  wire::answer said;
  if (!wire::send_one(socket_.get(), wire::request{what, with_pool ? 1U : 0U, which}) ||
      !wire::receive_one(socket_.get(), said, pool)) {
    lost("the process that made it has ended or does not answer");
  }
  return said;
}

wire::answer lender_link::ask(wire::verb what, loan_id which, bool with_pool,
                              core::descriptor* pool) {
  const std::lock_guard guard(mutex_);
  return ask_locked(what, which, with_pool, pool);
}

void lender_link::fetch(loan_id which, std::span<std::byte> to) {
  const std::lock_guard guard(mutex_);
  const wire::answer said = ask_locked(wire::verb::fetch, which, false, nullptr);
  if (said.ok == 0) lost("the process that made it has given it up");
  if (said.bytes != to.size() || !wire::receive_all(socket_.get(), to)) {
    lost("the process that made it ended while it was read");
  }
}

borrowed::borrowed(loan what) : what_(std::move(what)), lender_(link_to(what_.lender)) {
  lender_->tell(wire::verb::claim, what_.number);
}

borrowed::~borrowed() { lender_->tell(wire::verb::give_back, what_.number); }

loan borrowed::pass_on() const {
  const wire::answer said = lender_->ask(wire::verb::pass_on, what_.number);
  if (said.ok == 0) lost("the process that made it has given it up");
  loan further = what_;
  further.number = said.loan;
  return further;
}

}  // namespace troupe::gpu::detail
