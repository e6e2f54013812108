/// Writes values for another process: small things into one buffer, large arrays by reference.
#pragma once

#include <cereal/cereal.hpp>
#include <troupe/detail/archive_error.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <typeindex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe::detail {

static_assert(std::endian::native == std::endian::little,
              "the archived form is little-endian and written as it lies in memory");

/// An array of at least this many bytes is preceded by a mark that says where its bytes are, and
/// leaves the buffer for a segment of its own when the memory that it lies in is the root's.
inline constexpr std::size_t segment_threshold = 4096;
inline constexpr std::uint8_t array_is_inline = 0;
inline constexpr std::uint8_t array_is_segment = 1;

/// The archived form of a value. `segments` lie in the memory of the value that was written: it
/// must outlive them, unchanged. A reader wants each segment at an address divisible by 64.
struct encoded {
  std::vector<std::byte> inline_bytes;
  std::vector<std::span<const std::byte>> segments;

  std::size_t total_size() const noexcept {
    std::size_t total = inline_bytes.size();
    for (const auto& segment : segments) {
      total += segment.size();
    }
    return total;
  }
};

/// cereal's output archive. Thread-compatible; one use writes one encoded.
///
/// A segment refers to memory only if that memory is known to live as long as the value given to
/// `root`: it belongs to an array or string that lies in the root object itself, in an element of
/// one of its standard containers or in a pointee of its smart pointers. What a `save` function
/// makes on its stack is copied.
class TROUPE_API output_archive : public cereal::OutputArchive<output_archive> {
 public:
  output_archive();
  ~output_archive() override;

  /// Writes `value`, whose memory may be referred to.
  template <class T>
  void root(const T& value) {
    const stable_scope scope(*this, &value, sizeof(value));
    (*this)(value);
  }

  template <class T>
  void root(const T&&) = delete;

  /// What was written; the archive is empty afterwards.
  encoded take();
  /// What `take` gave, as if it had not.
  void put_back(encoded&& taken) {
    bytes_ = std::move(taken.inline_bytes);
    segments_ = std::move(taken.segments);
  }

  /// A segment that was taken from another archive, with the bytes that announce it. It must
  /// outlive the encoded.
  void put_segment(std::span<const std::byte> segment) { segments_.push_back(segment); }

  std::size_t position() const noexcept { return bytes_.size(); }
  /// What has been written, with the segments.
  std::size_t total_size() const noexcept {
    std::size_t total = bytes_.size();
    for (const auto& segment : segments_) total += segment.size();
    return total;
  }

  /// What is written now means something to one receiver only: a ref or a handle. Throws in an
  /// archive for a store, which anybody may read.
  void note_personal() {
    if (for_store_) refuse_personal();
    personal_ = true;
  }
  bool personal() const noexcept { return personal_; }
  void write_for_store() noexcept { for_store_ = true; }

  void put(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  template <class T>
  void put_value(T value) {
    put(&value, sizeof(value));
  }
  void put_count(std::size_t count) { put_value(static_cast<std::uint64_t>(count)); }

  /// Writes `size` bytes: by reference if they are many and `stable`.
  void put_array(const void* data, std::size_t size, bool stable) {
    if (size < segment_threshold) {
      put(data, size);
    } else {
      put_large_array(data, size, stable);
    }
  }

  /// Whether an object lies in memory that outlives the encoded.
  bool is_stable(const void* object, std::size_t size) const noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(object);
    return begin >= stable_begin_ && begin + size <= stable_end_;
  }

  /// While it lives, memory in [object, object + size) is the one that outlives the encoded.
  class stable_scope {
   public:
    stable_scope(output_archive& archive, const void* object, std::size_t size)
        : archive_(archive), begin_(archive.stable_begin_), end_(archive.stable_end_) {
      archive.stable_begin_ = reinterpret_cast<std::uintptr_t>(object);
      archive.stable_end_ = archive.stable_begin_ + size;
    }
    ~stable_scope() {
      archive_.stable_begin_ = begin_;
      archive_.stable_end_ = end_;
    }
    stable_scope(const stable_scope&) = delete;
    stable_scope& operator=(const stable_scope&) = delete;

   private:
    output_archive& archive_;
    std::uintptr_t begin_;
    std::uintptr_t end_;
  };

  nesting_level nest(name_view type) {
    return nesting_level(depth_, archive_action::save, type, position());
  }

  [[noreturn]] void fail(name_view type, const std::string& why) const {
    fail_archive(archive_action::save, type, position(), why);
  }

  /// Writes the id of what `pointer` points at (0 if null). When that object is to be written next,
  /// it is the caller's to do so, then to call `shared_written`, and the result is its index.
  static constexpr std::size_t nothing_to_write = static_cast<std::size_t>(-1);
  std::size_t put_shared_id(std::shared_ptr<const void> pointer, std::type_index type, bool owning,
                            name_view name);
  void shared_written(std::size_t index) noexcept { shared_[index].complete = true; }

 private:
  struct shared_key {
    const void* address;
    std::type_index type;
    bool operator==(const shared_key&) const = default;
  };
  struct shared_key_hash {
    std::size_t operator()(const shared_key& key) const noexcept {
      return std::hash<const void*>()(key.address) ^ key.type.hash_code();
    }
  };
  struct shared_entry {
    std::shared_ptr<const void> keeps_address;  // a freed address could come back as another object
    bool complete;
  };

  void put_large_array(const void* data, std::size_t size, bool stable);
  [[noreturn]] void refuse_personal() const;

  std::vector<std::byte> bytes_;
  std::vector<std::span<const std::byte>> segments_;
  std::uintptr_t stable_begin_ = 0;
  std::uintptr_t stable_end_ = 0;
  int depth_ = 0;
  bool personal_ = false;
  bool for_store_ = false;
  std::vector<shared_entry> shared_;
  std::unordered_map<shared_key, std::uint32_t, shared_key_hash> shared_ids_;
};

}  // namespace troupe::detail
