#include "net/zmq_context.hpp"

#include <zmq.h>

#include <cerrno>
#include <utility>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

namespace troupe::net {
namespace {

std::string to_text(const zmq_frame& frame) {
  const auto bytes = frame.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_z85(const zmq_frame& key) {
  char text[41];
  const auto bytes = key.bytes();
  zmq_z85_encode(text, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return text;
}

constexpr std::size_t key_bytes = 32;
/// Of a request of ZAP: version, request, domain, address, identity, mechanism, credentials.
constexpr std::size_t request_frames = 7;

}  // namespace

std::shared_ptr<zmq_context> zmq_context::get() {
  static std::mutex mutex;
  static std::weak_ptr<zmq_context> existing;
  const std::lock_guard guard(mutex);
  auto context = existing.lock();
  if (!context) {
    context.reset(new zmq_context);  // NOLINT: the constructor is private
    existing = context;
  }
  return context;
}

zmq_context::zmq_context() : context_(zmq_ctx_new()) {
  if (context_ == nullptr) throw connection_error("libzmq could not be started: out of memory");
  zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, 16'384);
  zmq_ctx_set(context_, ZMQ_BLOCKY, 0);
  try {
    gate_ = zmq_socket(context_, ZMQ_REP);
    gate_.set(ZMQ_LINGER, 0);
    if (const int error = gate_.bind("inproc://zeromq.zap.01"); error != 0) {
      throw connection_error(std::string("the gatekeeper could not be started: ") +
                             zmq_strerror(error));
    }
    gatekeeper_ = std::jthread([this] { keep_gate(); });
  } catch (...) {
    gate_.close();
    zmq_ctx_term(context_);
    throw;
  }
}

zmq_context::~zmq_context() {
  zmq_ctx_shutdown(context_);  // ends the gatekeeper's wait
  gatekeeper_.join();
  while (zmq_ctx_term(context_) != 0 && errno == EINTR) {
  }
}

void zmq_context::admit(const std::string& domain, const std::vector<std::string>& public_keys,
                        refused told) {
  const std::lock_guard guard(mutex_);
  domains_[domain] = {{public_keys.begin(), public_keys.end()}, std::move(told)};
}

void zmq_context::close_domain(const std::string& domain) {
  const std::lock_guard guard(mutex_);
  domains_.erase(domain);
}

bool zmq_context::admitted(const std::string& domain, const std::string& public_key) const {
  const std::lock_guard guard(mutex_);
  const auto found = domains_.find(domain);
  return found != domains_.end() && found->second.keys.contains(public_key);
}

void zmq_context::keep_gate() {
  std::vector<zmq_frame> request;
  for (;;) {
    request.clear();
    bool more = true;
    while (more) {
      zmq_frame& frame = request.emplace_back();
      if (zmq_msg_recv(static_cast<zmq_msg_t*>(frame.handle()), gate_.handle(), 0) < 0) {
        if (errno == EINTR) {
          request.pop_back();
          continue;
        }
        gate_.close();  // the context ends
        return;
      }
      more = frame.more();
    }
    try {
      answer(request);
    } catch (const std::exception& e) {
      log::error("the gatekeeper failed to answer, so nobody new gets in: ", e);
    }
  }
}

void zmq_context::answer(const std::vector<zmq_frame>& request) {
  std::string why = "it did not prove a key";
  std::string user;
  if (request.size() == request_frames && to_text(request[5]) == "CURVE" &&
      request[6].bytes().size() == key_bytes) {
    const std::string key = to_z85(request[6]);
    if (admitted(to_text(request[2]), key)) {
      user = key;
    } else {
      why = "its key is not one of this cluster";
    }
  }
  const auto reply = [this](const std::string& text, bool more) {
    gate_.send(zmq_frame(std::as_bytes(std::span(text))), more);
  };
  reply("1.0", true);
  reply(request.size() > 1 ? to_text(request[1]) : std::string(), true);
  reply(user.empty() ? "400" : "200", true);
  reply(user.empty() ? why : std::string("OK"), true);
  reply(user, true);
  reply({}, false);
  if (!user.empty() || request.size() < 4) return;

  const std::lock_guard guard(mutex_);  // who closes the domain waits for the call to end
  const auto found = domains_.find(to_text(request[2]));
  if (found != domains_.end() && found->second.told) {
    found->second.told(to_text(request[3]), why);
  }
}

}  // namespace troupe::net
