#include "net/store_client.hpp"

#include <algorithm>
#include <utility>

#include <troupe/detail/invocation.hpp>
#include <troupe/error.hpp>

#include "core/blocking.hpp"

namespace troupe::net {

namespace {

using clock = std::chrono::steady_clock;

constexpr int greeting_ms = 20'000;
/// So long a thread keeps its CPU while it waits: most answers are there sooner.
constexpr int first_wait_ms = 2;
/// How often a longer wait looks whether its task was cancelled.
constexpr int look_ms = 20;
constexpr std::size_t most_idle = 64;

enum class given_up : std::uint8_t { no, late, stopped };

}  // namespace

store_client::store_client(std::string path, process_id self, std::function<void()> on_gone)
    : path_(std::move(path)),
      self_(self),
      on_gone_(std::move(on_gone)),
      first_(connect_to_store(path_)) {
  store_request hello;
  hello.what = store_request::kind::hello;
  hello.process = self_;
  store_reply answer;
  core::descriptor memory;
  if (!send_request(first_, hello) || !receive_reply(first_, greeting_ms, answer, &memory) ||
      !memory) {
    throw connection_error("the node's object store at " + path_ + " does not answer");
  }
  region_ = std::make_unique<store_region>(std::move(memory), answer.size);
}

std::shared_ptr<store_client> store_client::connect(const std::string& path, process_id self,
                                                    std::function<void()> on_gone) {
  return std::shared_ptr<store_client>(new store_client(path, self, std::move(on_gone)));
}

core::descriptor store_client::take_connection() {
  {
    const std::lock_guard guard(mutex_);
    if (!idle_.empty()) {
      core::descriptor last = std::move(idle_.back());
      idle_.pop_back();
      return last;
    }
  }
  core::descriptor fresh = connect_to_store(path_);
  store_request join;
  join.what = store_request::kind::join;
  join.process = self_;
  send_request(fresh, join);
  return fresh;
}

void store_client::keep_connection(core::descriptor connection) {
  const std::lock_guard guard(mutex_);
  if (idle_.size() < most_idle) idle_.push_back(std::move(connection));
}

store_reply store_client::ask(const store_request& what, const detail::deadline& until) {
  try {
    return exchange(what, until);
  } catch (const store_gone_error&) {
    if (on_gone_) on_gone_();
    throw;
  }
}

store_reply store_client::exchange(const store_request& what, const detail::deadline& until) {
  core::descriptor connection = take_connection();
  if (!send_request(connection, what)) throw store_gone_error();
  store_reply reply;
  given_up why = given_up::no;
  if (!receive_reply(connection, first_wait_ms, reply)) {
    detail::invocation* const call = detail::current_invocation();
    const core::off_stage away;
    do {
      if (why == given_up::no) {
        if (call != nullptr && call->stop_requested()) why = given_up::stopped;
        if (until && clock::now() >= *until) why = given_up::late;
        if (why != given_up::no) {
          store_request cancel;
          cancel.what = store_request::kind::cancel;
          send_request(connection, cancel);
        }
      }
    } while (!receive_reply(connection, look_ms, reply));
  }
  keep_connection(std::move(connection));
  if (why == given_up::no) return reply;
  // Its answer may have crossed the cancel.
  if (reply.refused == store_refusal::none) {
    store_request undo;
    undo.what = what.what == store_request::kind::create ? store_request::kind::abort
                                                         : store_request::kind::unpin;
    undo.id = reply.id;
    tell(undo);
  }
  if (why == given_up::stopped) core::throw_cancelled_wait(*detail::current_invocation());
  throw get_timeout_error("get: the object's value did not reach this process in time");
}

void store_client::tell(store_request what) noexcept {
  try {
    // Nobody hears it: the node is gone, and the memory with it.
    static_cast<void>(send_request(first_, what));
  } catch (const std::exception&) {
    // Out of memory for a hundred bytes: the node frees everything when this process ends.
  }
}

store_client::block store_client::create(std::uint64_t size, store_label label) {
  store_request request;
  request.what = store_request::kind::create;
  request.size = size;
  request.label = std::move(label);
  if (request.label.made_by.size() > max_made_by) request.label.made_by.resize(max_made_by);
  const store_reply reply = ask(request, {});
  if (reply.refused != store_refusal::none) throw out_of_memory_error(reply.text);
  if (reply.offset > region_->size() || size > region_->size() - reply.offset) {
    throw connection_error("the node's object store gave a block outside of its memory");
  }
  return {reply.id, region_->writable(reply.offset, size)};
}

void store_client::seal(stored_id id) noexcept {
  store_request request;
  request.what = store_request::kind::seal;
  request.id = id;
  tell(std::move(request));
}

void store_client::abort(stored_id id) noexcept {
  store_request request;
  request.what = store_request::kind::abort;
  request.id = id;
  tell(std::move(request));
}

store_client::bytes_ptr store_client::pin(stored_id id, const peer& home,
                                          const detail::deadline& until) {
  store_request request;
  request.what = store_request::kind::pin;
  request.id = id;
  request.home = home;
  const store_reply reply = ask(request, until);
  if (reply.refused == store_refusal::full || reply.refused == store_refusal::too_large)
    throw out_of_memory_error(reply.text);
  if (reply.refused != store_refusal::none) throw object_lost_error(reply.text);
  if (reply.offset > region_->size() || reply.size > region_->size() - reply.offset) {
    throw connection_error("the node's object store named a block outside of its memory");
  }
  struct held {
    std::span<const std::byte> bytes;
    std::shared_ptr<store_client> client;
    stored_id id;
    ~held() {
      store_request done;
      done.what = store_request::kind::unpin;
      done.id = id;
      client->tell(std::move(done));
    }
  };
  auto pinned =
      std::make_shared<held>(region_->readable(reply.offset, reply.size), shared_from_this(), id);
  return bytes_ptr(pinned, &pinned->bytes);
}

}  // namespace troupe::net
