#include "net/batch.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace troupe::net {
namespace {

static_assert(std::endian::native == std::endian::little, "the protocol is little-endian");

template <class T>
void put(std::byte*& to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
  to += sizeof value;
}

template <class T>
T take(const std::byte*& from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  from += sizeof value;
  return value;
}

/// Behind a message's header: the size of each attachment.
constexpr std::size_t attachment_header_bytes = 8;

/// Decides for the parts of one message, in order, which travel inline.
class placement {
 public:
  bool inlined(std::uint64_t size) noexcept {
    if (size >= inline_part_bytes || size > inline_message_bytes - used_) return false;
    used_ += static_cast<std::size_t>(size);
    return true;
  }

 private:
  std::size_t used_ = 0;
};

/// Reads the small frame from front to back.
class small_reader {
 public:
  explicit small_reader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}
  bool has(std::uint64_t bytes) const noexcept { return bytes <= rest_.size(); }
  template <class T>
  T number() noexcept {
    const std::byte* at = rest_.data();
    rest_ = rest_.subspan(sizeof(T));
    return take<T>(at);
  }
  std::span<const std::byte> bytes(std::size_t count) noexcept {
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  bool at_end() const noexcept { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

/// Takes the frames of big parts from front to back.
class frame_reader {
 public:
  explicit frame_reader(std::vector<blob>& frames) noexcept : frames_(frames) {}

  /// A part of `size` bytes; nothing when the next frames do not end with it exactly.
  std::optional<blob> part(std::uint64_t size) {
    if (next_ < frames_.size() && frames_[next_].size() == size) {
      blob whole = std::move(frames_[next_++]);
      // What reads the bytes as numbers in place needs them aligned; libzmq puts small frames
      // wherever it received them.
      if (reinterpret_cast<std::uintptr_t>(whole.bytes().data()) % alignof(std::uint64_t) == 0) {
        return whole;
      }
      return blob(std::vector<std::byte>(whole.bytes().begin(), whole.bytes().end()));
    }
    std::size_t end = next_;
    std::uint64_t found = 0;
    while (end < frames_.size() && found < size) {
      if (frames_[end].size() == 0) return std::nullopt;
      found += frames_[end++].size();
    }
    if (found != size) return std::nullopt;
    std::vector<std::byte> joined;
    joined.reserve(static_cast<std::size_t>(size));  // so many bytes have been received
    for (; next_ < end; ++next_) {
      const auto bytes = frames_[next_].bytes();
      joined.insert(joined.end(), bytes.begin(), bytes.end());
      frames_[next_] = blob();
    }
    return blob(std::move(joined));
  }
  bool at_end() const noexcept { return next_ == frames_.size(); }

 private:
  std::vector<blob>& frames_;
  std::size_t next_ = 0;
};

bool read_message(small_reader& small, frame_reader& frames, message& out) {
  if (!small.has(message_header_bytes)) return false;
  out.kind = small.number<std::uint16_t>();
  const std::size_t attachments = small.number<std::uint16_t>();
  const auto body_size = small.number<std::uint64_t>();
  if (!small.has(attachments * attachment_header_bytes)) return false;
  small_reader sizes(small.bytes(attachments * attachment_header_bytes));

  placement where;
  if (where.inlined(body_size)) {
    if (!small.has(body_size)) return false;
    const auto bytes = small.bytes(static_cast<std::size_t>(body_size));
    out.body.assign(bytes.begin(), bytes.end());
  } else {
    const auto part = frames.part(body_size);
    if (!part) return false;
    out.body.assign(part->bytes().begin(), part->bytes().end());
  }
  out.attachments.reserve(attachments);
  for (std::size_t i = 0; i < attachments; ++i) {
    const auto size = sizes.number<std::uint64_t>();
    if (where.inlined(size)) {
      if (!small.has(size)) return false;
      const auto bytes = small.bytes(static_cast<std::size_t>(size));
      out.attachments.emplace_back(std::vector<std::byte>(bytes.begin(), bytes.end()));
    } else {
      auto part = frames.part(size);
      if (!part) return false;
      out.attachments.push_back(*std::move(part));
    }
  }
  return true;
}

}  // namespace

std::array<std::byte, batch_header_bytes> encode_header(const batch_header& header) noexcept {
  std::array<std::byte, batch_header_bytes> bytes{};
  std::byte* at = bytes.data();
  put(at, batch_magic);
  put(at, header.version);
  put(at, header.flags);
  put(at, static_cast<std::uint16_t>(header.reason));
  put(at, header.generation);
  put(at, header.sender);
  put(at, header.receiver);
  put(at, header.first);
  put(at, header.ack);
  put(at, header.base);
  put(at, header.count);
  put(at, header.nack_generation);
  put(at, header.parts);
  put(at, header.sender_epoch);
  put(at, header.receiver_epoch);
  return bytes;
}

std::optional<batch_header> decode_header(std::span<const std::byte> bytes) noexcept {
  // Another version may have more to say.
  if (bytes.size() < batch_header_bytes) return std::nullopt;
  const std::byte* at = bytes.data();
  if (take<std::uint32_t>(at) != batch_magic) return std::nullopt;
  batch_header header;
  header.version = take<std::uint32_t>(at);
  header.flags = take<std::uint16_t>(at);
  header.reason = static_cast<refusal_reason>(take<std::uint16_t>(at));
  header.generation = take<std::uint32_t>(at);
  header.sender = take<process_id>(at);
  header.receiver = take<process_id>(at);
  header.first = take<std::uint64_t>(at);
  header.ack = take<std::uint64_t>(at);
  header.base = take<std::uint64_t>(at);
  header.count = take<std::uint32_t>(at);
  header.nack_generation = take<std::uint32_t>(at);
  header.parts = take<std::uint32_t>(at);
  header.sender_epoch = take<short_epoch>(at);
  header.receiver_epoch = take<short_epoch>(at);
  return header;
}

void encoded_batch::set_header(const batch_header& header) noexcept {
  const auto encoded = encode_header(header);
  std::copy(encoded.begin(), encoded.end(), first_frame.begin());
}

void batch_builder::add(message&& what) {
  if (what.attachments.size() > max_attachments) {
    throw std::invalid_argument("a message has " + std::to_string(what.attachments.size()) +
                                " attachments; at most " + std::to_string(max_attachments) +
                                " can travel with one: join some of them");
  }
  batch_.bytes += weight(what);
  ++batch_.count;
  if (batch_.first_frame.empty()) {
    batch_.first_frame.reserve(expected_bytes_);
    batch_.first_frame.resize(batch_header_bytes);
  }

  std::size_t inline_bytes =
      message_header_bytes + what.attachments.size() * attachment_header_bytes;
  placement counted;
  const bool body_inlined = counted.inlined(what.body.size());
  if (body_inlined) inline_bytes += what.body.size();
  for (const blob& b : what.attachments) inline_bytes += counted.inlined(b.size()) ? b.size() : 0;

  const std::size_t begin = batch_.first_frame.size();
  batch_.first_frame.resize(begin + inline_bytes);
  std::byte* at = batch_.first_frame.data() + begin;
  put(at, what.kind);
  put(at, static_cast<std::uint16_t>(what.attachments.size()));
  put(at, std::uint64_t{what.body.size()});
  for (const blob& b : what.attachments) put(at, std::uint64_t{b.size()});

  const auto copy = [&at](std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    at += bytes.size();
  };
  placement where;
  if (where.inlined(what.body.size())) {
    copy(what.body);
  } else {
    add_frames(blob(std::move(what.body)));
  }
  for (const blob& b : what.attachments) {
    if (where.inlined(b.size())) {
      copy(b.bytes());
    } else {
      add_frames(b);
    }
  }
}

void batch_builder::add_frames(const blob& part) {
  std::span<const std::byte> rest = part.bytes();
  do {
    const std::size_t size = std::min(rest.size(), chunk_bytes_);
    batch_.frames.emplace_back(rest.first(size), part.keeper());
    rest = rest.subspan(size);
  } while (!rest.empty());
}

encoded_batch batch_builder::take() {
  // Under load the next one will be as large: no copies while it grows.
  expected_bytes_ = batch_.first_frame.size() > max_batch_bytes / 16 ? max_batch_bytes + 1024 : 256;
  return std::exchange(batch_, {});
}

std::optional<std::vector<message>> decode_messages(std::uint32_t count,
                                                    std::span<const std::byte> small,
                                                    std::vector<blob> frames) {
  if (small.size() > max_small_frame_bytes || count > max_batch_messages ||
      small.size() < count * message_header_bytes) {
    return std::nullopt;
  }
  std::vector<message> messages(count);
  small_reader reader(small);
  frame_reader big(frames);
  for (message& m : messages) {
    if (!read_message(reader, big, m)) return std::nullopt;
  }
  if (!reader.at_end() || !big.at_end()) return std::nullopt;
  return messages;
}

}  // namespace troupe::net
