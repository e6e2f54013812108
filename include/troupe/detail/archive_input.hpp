/// Reads values that another process wrote, without trusting its bytes.
#pragma once

#include <cereal/cereal.hpp>
#include <troupe/detail/archive_error.hpp>
#include <troupe/detail/archive_output.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <typeindex>
#include <vector>

namespace troupe::detail {

/// How much memory a value may take that claims to be archived in some bytes: `base` plus
/// `per_byte` for each of them. Elements, nodes and pointees are counted, small change is not.
struct input_limits {
  std::size_t base = std::size_t{256} << 20;
  std::size_t per_byte = 16;
};

/// cereal's input archive over bytes that it does not own. Thread-compatible. Every read throws
/// archive_error, before it allocates, when the bytes cannot hold what they announce.
class TROUPE_API input_archive : public cereal::InputArchive<input_archive> {
 public:
  explicit input_archive(std::span<const std::byte> inline_bytes,
                         std::span<const std::span<const std::byte>> segments = {},
                         input_limits limits = {});
  ~input_archive() override;

  std::size_t position() const noexcept { return position_; }
  std::size_t inline_left() const noexcept { return bytes_.size() - position_; }

  void get(void* data, std::size_t size, name_view type) {
    if (size > inline_left()) {
      too_short(size, type);
    }
    std::memcpy(data, bytes_.data() + position_, size);
    position_ += size;
  }
  template <class T>
  T get_value(name_view type) {
    T value;
    get(&value, sizeof(value), type);
    return value;
  }
  bool get_bool(name_view type) {
    const auto byte = get_value<std::uint8_t>(type);
    if (byte > 1) {
      bad_bool(byte, type);
    }
    return byte == 1;
  }

  /// The number of elements that follow inline, each of at least one byte.
  std::size_t get_count(name_view type);
  /// The number of elements of `element_size` bytes of an array that `get_array` gets next.
  std::size_t get_array_count(std::size_t element_size, name_view type);
  /// The count of a container that cereal reads by itself: no more than there are bytes at all.
  std::size_t get_foreign_count();
  /// The bytes of an array, in place.
  std::span<const std::byte> get_array(std::size_t size, name_view type);

  /// Takes `size` bytes from what the value may occupy in memory.
  void charge(std::size_t size, name_view type) {
    if (size > memory_left_) {
      over_budget(size, type);
    }
    memory_left_ -= size;
  }

  nesting_level nest(name_view type) {
    return nesting_level(depth_, archive_action::load, type, position());
  }

  [[noreturn]] void fail(name_view type, const std::string& why) const {
    fail_archive(archive_action::load, type, position(), why);
  }

  /// Checks that all bytes and segments were read.
  void finish(name_view type) const;

  /// What a shared id says: `object` is null for a new object that the caller makes, announces by
  /// `add_shared` and reads, and for a null pointer, which is not `fresh`.
  struct shared_reference {
    std::shared_ptr<void> object;
    bool fresh;
  };
  shared_reference get_shared(std::type_index type, bool owning, name_view name);
  std::size_t add_shared(std::shared_ptr<void> object, std::type_index type);
  void shared_read(std::size_t index) noexcept { shared_[index].complete = true; }

 private:
  struct shared_entry {
    std::shared_ptr<void> object;
    std::type_index type;
    bool complete;
  };

  [[noreturn]] void too_short(std::size_t size, name_view type) const;
  [[noreturn]] void bad_bool(unsigned byte, name_view type) const;
  [[noreturn]] void over_budget(std::size_t size, name_view type) const;

  std::span<const std::byte> bytes_;
  std::span<const std::span<const std::byte>> segments_;
  std::size_t position_ = 0;
  std::size_t next_segment_ = 0;
  std::size_t memory_left_;
  int depth_ = 0;
  std::vector<shared_entry> shared_;
};

}  // namespace troupe::detail

CEREAL_SETUP_ARCHIVE_TRAITS(troupe::detail::input_archive, troupe::detail::output_archive)
