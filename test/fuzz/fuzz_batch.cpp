// Reads any bytes as a batch. Input: the header, one byte for the number of big frames
// and two bytes for the size of each, the frames, and the rest as the frame of small messages.
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "net/batch.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using namespace troupe::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const auto header = decode_header(in.take(batch_header_bytes));
  std::uint32_t count = header ? header->count : 3;

  std::vector<blob> frames;
  const std::size_t frame_count = in.number<std::uint8_t>() % 8;
  for (std::size_t i = 0; i < frame_count; ++i) {
    const auto bytes = in.take(in.number<std::uint16_t>());
    frames.emplace_back(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }

  const auto rest = in.rest();
  std::size_t received = rest.size();
  for (const blob& b : frames) received += b.size();
  const fuzz::memory_bound bound(64 * received + (std::size_t{64} << 10));
  auto messages = decode_messages(count, rest, std::move(frames));
  if (!messages || messages->empty()) return 0;

  // What was read is no more than what came, and is written as it was read.
  std::size_t found = 0;
  batch_builder builder(5000);
  for (message& m : *messages) {
    found += weight(m);
    builder.add(std::move(m));
  }
  fuzz::check(found <= received, "more was read than came");
  const encoded_batch again = builder.take();
  fuzz::check(again.small().size() == rest.size() && again.count == count,
              "what was read is written in another way");
  fuzz::check(decode_messages(count, again.small(), again.frames).has_value(),
              "what was written can not be read");
  return 0;
}
