// A link with a peer whose headers are any bytes. Input: again and again one byte that says what
// happens, and what that needs.
#include <chrono>
#include <memory>

#include "net/batch.hpp"
#include "net/link_state.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using namespace troupe::net;

namespace {

std::shared_ptr<const encoded_batch> batch_of(std::uint32_t messages) {
  batch_builder builder(1000);
  for (std::uint32_t i = 0; i < messages; ++i)
    builder.add({.kind = 1, .body = {}, .attachments = {}});
  return std::make_shared<const encoded_batch>(builder.take());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  send_state sender;
  receive_state receiver;
  send_state::time_point now{};
  while (!in.rest().empty()) {
    now += std::chrono::milliseconds(in.number<std::uint8_t>());
    switch (in.number<std::uint8_t>() % 6) {
      case 0:
        sender.add(batch_of(1 + in.number<std::uint8_t>() % 4), now);
        break;
      case 1:
        sender.acknowledged(in.number<std::uint64_t>(), now);
        break;
      case 2:
        sender.asked_again(in.number<std::uint32_t>(), now);
        break;
      case 3:
        sender.link_up(now);
        break;
      case 4:
        sender.probe_due(now);
        break;
      default: {
        batch_header header;
        header.generation = in.number<std::uint8_t>();
        header.first = in.number<std::uint64_t>();
        header.base = in.number<std::uint64_t>();
        header.count = in.number<std::uint32_t>();
        const std::uint64_t before = receiver.expected();
        const auto decision = receiver.batch(header);
        fuzz::check(receiver.expected() >= before, "the next number went back");
        if (decision.accept) {
          fuzz::check(decision.skip <= header.count, "more is skipped than came");
        }
      }
    }
    fuzz::check(sender.base() <= sender.next(), "what is next was sent before");
    fuzz::check(
        sender.unacknowledged().empty() || sender.unacknowledged().back().first < sender.next(),
        "a batch has a number that comes later");
  }
  return 0;
}
