#include "net/bulk_frame.hpp"

#include <cstring>

namespace troupe::net {
namespace {

constexpr std::array<std::byte, 4> magic{std::byte{'T'}, std::byte{'R'}, std::byte{'B'},
                                         std::byte{'1'}};

template <class T>
void put(bulk_header& into, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    into[at + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

template <class T>
T take(std::span<const std::byte, bulk_header_bytes> from, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<T>(from[at + i]) << (8 * i));
  }
  return value;
}

}  // namespace

bulk_header write_bulk_header(const bulk_frame& frame) {
  bulk_header bytes{};
  std::memcpy(bytes.data(), magic.data(), magic.size());
  put(bytes, 4, static_cast<std::uint32_t>(frame.what));
  put(bytes, 8, frame.channel);
  put(bytes, 16, frame.request);
  put(bytes, 24, frame.value.owner);
  put(bytes, 32, frame.value.local);
  put(bytes, 40, frame.offset);
  put(bytes, 48, frame.size);
  put(bytes, 56, frame.total);
  return bytes;
}

std::optional<bulk_frame> read_bulk_header(std::span<const std::byte, bulk_header_bytes> bytes) {
  if (std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) return std::nullopt;
  bulk_frame frame;
  frame.what = static_cast<bulk_frame::kind>(take<std::uint32_t>(bytes, 4));
  frame.channel = take<std::uint64_t>(bytes, 8);
  frame.request = take<std::uint64_t>(bytes, 16);
  frame.value = {take<std::uint64_t>(bytes, 24), take<std::uint64_t>(bytes, 32)};
  frame.offset = take<std::uint64_t>(bytes, 40);
  frame.size = take<std::uint64_t>(bytes, 48);
  frame.total = take<std::uint64_t>(bytes, 56);
  switch (frame.what) {
    case bulk_frame::kind::hello:
    case bulk_frame::kind::welcome:
      if (frame.size != 0) return std::nullopt;
      return frame;
    case bulk_frame::kind::chunk:
      if (frame.size > most_bulk_bytes) return std::nullopt;
      if (frame.offset > frame.total || frame.size > frame.total - frame.offset) {
        return std::nullopt;
      }
      return frame;
  }
  return std::nullopt;
}

}  // namespace troupe::net
