// Reads any bytes as a batch. Input: the header, one byte for the number of big frames
// and two bytes for the size of each, the frames, and the rest as the frame of small messages.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "net/batch.hpp"

using namespace troupe::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::span<const std::byte> rest = std::as_bytes(std::span(data, size));
  const auto take = [&rest](std::size_t wanted) {
    const auto taken = rest.first(std::min(wanted, rest.size()));
    rest = rest.subspan(taken.size());
    return taken;
  };
  const auto header = decode_header(take(batch_header_bytes));
  std::uint32_t count = header ? header->count : 3;

  std::vector<blob> frames;
  const auto number_of_frames = take(1);
  const std::size_t frame_count =
      number_of_frames.empty() ? 0 : std::to_integer<std::size_t>(number_of_frames[0]) % 8;
  for (std::size_t i = 0; i < frame_count; ++i) {
    std::size_t frame_size = 0;
    for (const std::byte b : take(2)) {
      frame_size = frame_size << 8 | std::to_integer<std::size_t>(b);
    }
    const auto bytes = take(frame_size);
    frames.emplace_back(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }

  std::size_t received = rest.size();
  for (const blob& b : frames) received += b.size();
  auto messages = decode_messages(count, rest, std::move(frames));
  if (!messages || messages->empty()) return 0;

  // What was read is no more than what came, and is written as it was read.
  std::size_t found = 0;
  batch_builder builder(5000);
  for (message& m : *messages) {
    found += weight(m);
    builder.add(std::move(m));
  }
  if (found > received) std::abort();
  const encoded_batch again = builder.take();
  if (again.small().size() != rest.size() || again.count != count) std::abort();
  if (!decode_messages(count, again.small(), again.frames)) std::abort();
  return 0;
}
