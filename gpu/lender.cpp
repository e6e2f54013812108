#include "gpu/lender.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <random>
#include <system_error>
#include <vector>

#include <troupe/log.hpp>

#include "gpu/engine.hpp"

namespace troupe::gpu::detail {

lender::~lender() {
  if (!server_.joinable()) return;
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
  }
  ::eventfd_write(wake_.get(), 1);
  server_.join();
}

void lender::start() {
  if (server_.joinable()) return;
  std::random_device random;
  std::string secret;
  for (int i = 0; i < 4; ++i) secret += "-" + std::to_string(random());
  name_ = "troupe-gpu-" + std::to_string(::getpid()) + secret;
  listener_ = wire::listen_at(name_);
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) throw std::system_error(errno, std::generic_category(), "eventfd");
  server_ = std::thread([this] { serve(); });
}

loan_id lender::lend(const memory_ptr& what) {
  const std::lock_guard guard(mutex_);
  start();
  const auto id = reinterpret_cast<memory_id>(what.get());
  lent_.emplace(id, what);
  return state_.lend(std::chrono::steady_clock::now(), id);
}

memory_ptr lender::redeem(loan_id loan) {
  constexpr borrower_id itself = 0;
  memory_ptr result;
  {
    const std::lock_guard guard(mutex_);
    if (!state_.claim(itself, loan)) return nullptr;
    result = lent_.at(*state_.find(itself, loan));
    state_.give_back(itself, loan);
  }
  drop_free();
  return result;
}

std::string lender::name() const {
  const std::lock_guard guard(mutex_);
  return name_;
}

bool lender::lends_as(const std::string& name) const {
  return !name.empty() && name == this->name();
}

std::size_t lender::loans() const {
  const std::lock_guard guard(mutex_);
  return state_.size();
}

void lender::serve() {
  std::map<borrower_id, core::descriptor> borrowers;
  borrower_id last = 0;
  for (;;) {
    std::vector<pollfd> watched{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    std::vector<borrower_id> whose{0, 0};
    for (const auto& [id, socket] : borrowers) {
      watched.push_back({socket.get(), POLLIN, 0});
      whose.push_back(id);
    }
    // Loans that nobody claims are looked for once a second at most.
    ::poll(watched.data(), watched.size(), 1000);
    {
      const std::lock_guard guard(mutex_);
      if (ending_) return;
      state_.expire(std::chrono::steady_clock::now());
    }
    if (watched[1].revents != 0) {
      core::descriptor came(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (came && wire::same_user(came.get())) borrowers.emplace(++last, std::move(came));
    }
    for (std::size_t i = 2; i < watched.size(); ++i) {
      if (watched[i].revents == 0) continue;
      if (answer(whose[i], watched[i].fd)) continue;
      borrowers.erase(whose[i]);
      const std::lock_guard guard(mutex_);
      state_.gone(whose[i]);
    }
    drop_free();
  }
}

void lender::drop_free() {
  std::vector<memory_ptr> dropped;  // outside of the lock
  const std::lock_guard guard(mutex_);
  for (const memory_id id : state_.take_free()) {
    const auto found = lent_.find(id);
    dropped.push_back(std::move(found->second));
    lent_.erase(found);
  }
}

bool lender::answer(borrower_id who, int socket) {
  wire::request asked{};
  if (!wire::receive_one(socket, asked)) return false;
  memory_ptr what;
  {
    const std::lock_guard guard(mutex_);
    switch (asked.what) {
      case wire::verb::claim:
        state_.claim(who, asked.loan);
        return true;
      case wire::verb::give_back:
        state_.give_back(who, asked.loan);
        return true;
      case wire::verb::pass_on: {
        const auto further = state_.lend_again(std::chrono::steady_clock::now(), who, asked.loan);
        return wire::send_one(socket,
                              wire::answer{further.has_value(), further.value_or(0), 0, {}});
      }
      case wire::verb::open:
      case wire::verb::fetch:
        if (const auto id = state_.find(who, asked.loan)) what = lent_.at(*id);
        break;
      default:
        return false;
    }
  }
  if (!what) return wire::send_one(socket, wire::answer{});
  if (asked.what == wire::verb::fetch) return answer_fetch(socket, what);
  return answer_open(socket, what, asked.with_pool != 0);
}

bool lender::answer_open(int socket, const memory_ptr& what, bool with_pool) {
  wire::answer said{1, 0, what->bytes, {}};
  core::descriptor pool;
  try {
    const device_scope current(of_, what->device());
    said.pointer = of_.under().export_pointer(what->address());
    if (with_pool) pool.reset(of_.under().export_pool(what->device()));
  } catch (const std::exception& error) {
    log::warn("device memory cannot be shared, its content is sent: ", error.what());
    said = {};
    pool.reset();
  }
  return wire::send_one(socket, said, pool.get());
}

bool lender::answer_fetch(int socket, const memory_ptr& what) {
  std::vector<std::byte> content;
  try {
    content.resize(what->bytes);
    of_.download(*what, content.data(), content.size());
  } catch (const std::exception& error) {
    log::warn("device memory cannot be read for another process: ", error.what());
    return wire::send_one(socket, wire::answer{});
  }
  return wire::send_one(socket, wire::answer{1, 0, content.size(), {}}) &&
         wire::send_all(socket, content);
}

}  // namespace troupe::gpu::detail
