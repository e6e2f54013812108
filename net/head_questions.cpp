#include "net/head_questions.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include <troupe/error.hpp>

#include "net/failures.hpp"
#include "net/pack.hpp"

namespace troupe::net {

namespace {

constexpr auto answer_timeout = std::chrono::seconds(60);

}  // namespace

template <class Reply>
struct head_questions::question {
  detail::object_ptr answered = detail::object_ptr::adopt(new detail::value_object<void>);
  Reply reply;
  message asked;

  void answer(Reply&& with) {
    reply = std::move(with);
    static_cast<detail::value_object<void>&>(*answered).set();
  }
  void fail(const std::string& why) {
    static_cast<detail::value_object<void>&>(*answered).set_failure(
        failure_with<connection_error>(why));
  }
};

std::uint64_t head_questions::next_request() {
  const std::lock_guard guard(mutex_);
  return ++last_request_;
}

template <class Reply>
void head_questions::wait_for(question<Reply>& asked, const char* for_what) const {
  try {
    detail::wait_until_ready(*asked.answered, std::chrono::steady_clock::now() + answer_timeout);
  } catch (const get_timeout_error&) {
    throw connection_error(std::string(for_what) +
                           ": the head of the cluster did not answer within " +
                           std::to_string(answer_timeout.count()) + " s; see 'troupe status'");
  }
  if (asked.answered->has_failed()) detail::throw_failure(*asked.answered);
}

name_reply head_questions::ask_names(message what, std::uint64_t request, const char* for_what) {
  const auto asked = std::make_shared<question<name_reply>>();
  asked->asked = what;
  {
    const std::lock_guard guard(mutex_);
    if (!failed_.empty()) throw connection_error(std::string(for_what) + ": " + failed_);
    names_[request] = asked;
  }
  here_.net->send(here_.head.id, std::move(what));
  try {
    wait_for(*asked, for_what);
  } catch (...) {
    const std::lock_guard guard(mutex_);
    names_.erase(request);
    throw;
  }
  return asked->reply;
}

status head_questions::ask_status() {
  std::shared_ptr<question<status>> asked;
  {
    const std::lock_guard guard(mutex_);
    if (!failed_.empty()) throw connection_error(failed_);
    // One answer does for all who ask meanwhile.
    if (!status_) status_ = std::make_shared<question<status>>();
    asked = status_;
  }
  here_.send(here_.head.id, net::ask_status{});
  wait_for(*asked, "the state of the cluster");
  return asked->reply;
}

void head_questions::on(name_reply&& reply) {
  std::shared_ptr<question<name_reply>> asked;
  {
    const std::lock_guard guard(mutex_);
    const auto at = names_.find(reply.request);
    if (at == names_.end()) return;
    asked = std::move(at->second);
    names_.erase(at);
  }
  asked->answer(std::move(reply));
}

void head_questions::on(status&& reply) {
  std::shared_ptr<question<status>> asked;
  {
    const std::lock_guard guard(mutex_);
    asked = std::exchange(status_, nullptr);
  }
  if (asked) asked->answer(std::move(reply));
}

void head_questions::ask_again() {
  std::vector<message> open;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [request, asked] : names_) open.push_back(asked->asked);
    if (status_) open.push_back(pack(net::ask_status{}));
  }
  for (message& one : open) here_.net->send(here_.head.id, std::move(one));
}

void head_questions::fail(const std::string& why) {
  decltype(names_) names;
  std::shared_ptr<question<status>> asked;
  {
    const std::lock_guard guard(mutex_);
    if (failed_.empty()) failed_ = why;
    names.swap(names_);
    asked.swap(status_);
  }
  for (const auto& [request, one] : names) one->fail(why);
  if (asked) asked->fail(why);
}

}  // namespace troupe::net
