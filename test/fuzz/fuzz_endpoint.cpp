// Sends any frames to an endpoint that listens, as a member of the cluster that has gone wrong.
// Input: again and again two bytes for a frame's size and flags, then the frame; when the highest
// bit is set it gets a header that is addressed well.
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include <zmq.h>

#include <troupe/archive.hpp>
#include <troupe/log.hpp>

#include "core/logging.hpp"
#include "net/batch.hpp"
#include "net/endpoint.hpp"
#include "net/messages.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using namespace troupe::net;

namespace {

struct ears final : endpoint_handler {
  void received(process_id, message&& what) override {
    fuzz::check(what.size() < std::size_t{64} << 20, "more has arrived than was sent");
  }
  void unreachable(process_id, const std::string&) override {}
};

/// One endpoint and one client for all inputs: a connection costs more than what it carries.
class subject {
 public:
  subject() {
    std::string name = "/tmp/troupe-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) fuzz::found("no folder for sockets");
    folder_ = name;
    endpoint_options options;
    options.session_dir = folder_;
    endpoint_ = std::make_unique<endpoint>(options, ears_);
    context_ = zmq_ctx_new();
    client_ = zmq_socket(context_, ZMQ_DEALER);
    const int none = 0;
    zmq_setsockopt(client_, ZMQ_LINGER, &none, sizeof none);
    const int patience_ms = 20'000;
    zmq_setsockopt(client_, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
    zmq_connect(client_, ("ipc://" + endpoint_->self().local).c_str());
  }
  ~subject() {
    zmq_close(client_);
    zmq_ctx_term(context_);
    endpoint_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  subject(const subject&) = delete;
  subject& operator=(const subject&) = delete;

  process_id id() const { return endpoint_->id(); }
  void send(const std::vector<std::byte>& frame, bool more) {
    zmq_send(client_, frame.data(), frame.size(), more ? ZMQ_SNDMORE : 0);
  }
  /// Asks who it is until it answers: then it has read all that was sent, and lives.
  void wait() {
    // Ends what an input has begun: the parts that a batch has announced.
    const batch_header question{.version = protocol_version,
                                .flags = batch_flag::who,
                                .sender = ++asked_ << 32,
                                .receiver = 0};
    for (int attempts = 0; attempts < 10'000; ++attempts) {
      const auto bytes = encode_header(question);
      zmq_send(client_, bytes.data(), bytes.size(), 0);
      std::array<std::byte, 4096> answer{};
      for (int size = 0; (size = zmq_recv(client_, answer.data(), answer.size(), 0)) >= 0;) {
        const auto header = decode_header(
            std::span(answer).first(std::min(static_cast<std::size_t>(size), answer.size())));
        if (header && header->receiver == question.sender) return;
        if (zmq_errno() == EAGAIN) break;
      }
    }
    fuzz::found("the endpoint does not answer any more");
  }

 private:
  std::string folder_;
  ears ears_;
  std::unique_ptr<endpoint> endpoint_;
  void* context_ = nullptr;
  void* client_ = nullptr;
  std::uint64_t asked_ = 1;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static subject it;
  fuzz::input in(data, size);
  while (!in.rest().empty()) {
    const auto what = in.number<std::uint16_t>();
    std::vector<std::byte> frame;
    if ((what & 0x8000) != 0) {
      batch_header header{.version = protocol_version, .receiver = it.id()};
      header.flags = in.number<std::uint8_t>();
      header.sender = 600 + in.number<std::uint8_t>() % 4;
      header.first = in.number<std::uint8_t>();
      header.ack = in.number<std::uint8_t>();
      header.base = in.number<std::uint8_t>();
      header.count = in.number<std::uint8_t>() % 8;
      header.generation = in.number<std::uint8_t>();
      header.parts = in.number<std::uint8_t>() % 4;
      const auto bytes = encode_header(header);
      frame.assign(bytes.begin(), bytes.end());
    }
    const auto rest = in.take(what & 0x1fff);
    frame.insert(frame.end(), rest.begin(), rest.end());
    it.send(frame, (what & 0x4000) != 0 && !in.rest().empty());
  }
  it.wait();
  return 0;
}
