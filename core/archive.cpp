#include <troupe/detail/archive_error.hpp>
#include <troupe/detail/archive_input.hpp>
#include <troupe/detail/archive_output.hpp>
#include <troupe/in_process.hpp>

#include <limits>
#include <string>
#include <utility>

namespace troupe::detail {

namespace {

// In a shared pointer's id: the object itself follows.
constexpr std::uint32_t object_follows = 0x80000000u;

constexpr const char* damaged = "; the bytes are damaged or were written for another type";

std::string name_of(name_view name) { return {name.data, name.size}; }

std::string bytes_text(std::size_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

}  // namespace

// --- errors -------------------------------------------------------------------------------------

archive_error::~archive_error() = default;

void fail_archive(archive_action action, name_view type, std::size_t at, const std::string& why) {
  throw archive_error(std::string("cannot ") +
                      (action == archive_action::save ? "archive " : "read an archived ") +
                      name_of(type) + " at byte " + std::to_string(at) + ": " + why);
}

void nesting_level::too_deep(archive_action action, name_view type, std::size_t at) {
  fail_archive(action, type, at,
               "pointers and containers nest deeper than " + std::to_string(max_archive_depth) +
                   " levels; keep long chains in a container with indices instead");
}

void refuse_in_process(name_view type, bool saving) {
  const std::string name = name_of(type);
  throw archive_error(std::string("cannot ") + (saving ? "archive" : "read an archived") +
                      " troupe::in_process<" + name +
                      ">: such a value never leaves its process, and the call goes to another one; "
                      "run it in the same process, or give " +
                      name + " a serialize() and drop the wrapper");
}

// --- output -------------------------------------------------------------------------------------

output_archive::output_archive() : OutputArchive(this) {}
output_archive::~output_archive() = default;

encoded output_archive::take() { return {std::exchange(bytes_, {}), std::exchange(segments_, {})}; }

void output_archive::put_large_array(const void* data, std::size_t size, bool stable) {
  if (stable) {
    put_value(array_is_segment);
    segments_.emplace_back(static_cast<const std::byte*>(data), size);
  } else {
    put_value(array_is_inline);
    put(data, size);
  }
}

void output_archive::refuse_personal() const {
  throw archive_error("a value with refs or handles in it is kept by its owner, not by a store");
}

std::size_t output_archive::put_shared_id(std::shared_ptr<const void> pointer, std::type_index type,
                                          bool owning, name_view name) {
  if (!pointer) {
    put_value(std::uint32_t{0});
    return nothing_to_write;
  }
  const std::size_t index = shared_.size();
  const auto id = static_cast<std::uint32_t>(index + 1);
  if (id >= object_follows) {
    fail(name, "too many shared objects in one value");
  }
  const auto [at, fresh] = shared_ids_.try_emplace(shared_key{pointer.get(), type}, id);
  if (fresh) {
    shared_.push_back({std::move(pointer), false});
    put_value(id | object_follows);
    return index;
  }
  if (owning && !shared_[at->second - 1].complete) {
    fail(name,
         "it owns an object that owns it in turn, which nobody would ever free; make one of them a "
         "std::weak_ptr");
  }
  put_value(at->second);
  return nothing_to_write;
}

// --- input --------------------------------------------------------------------------------------

input_archive::input_archive(std::span<const std::byte> inline_bytes,
                             std::span<const std::span<const std::byte>> segments,
                             input_limits limits)
    : InputArchive(this), bytes_(inline_bytes), segments_(segments), memory_left_(limits.base) {
  std::size_t total = inline_bytes.size();
  for (const auto& segment : segments) {
    total += segment.size();
  }
  std::size_t more = 0;
  if (__builtin_mul_overflow(total, limits.per_byte, &more) ||
      __builtin_add_overflow(memory_left_, more, &memory_left_)) {
    memory_left_ = std::numeric_limits<std::size_t>::max();
  }
}

input_archive::~input_archive() = default;

std::size_t input_archive::get_count(name_view type) {
  const auto count = get_value<std::uint64_t>(type);
  if (count > inline_left()) {
    fail(type, "it announces " + std::to_string(count) + " elements and " +
                   bytes_text(inline_left()) + " are left" + damaged);
  }
  return static_cast<std::size_t>(count);
}

std::size_t input_archive::get_array_count(std::size_t element_size, name_view type) {
  const auto count = get_value<std::uint64_t>(type);
  if (count > std::numeric_limits<std::size_t>::max() / element_size) {
    fail(type, "it announces " + std::to_string(count) + " elements" + damaged);
  }
  return static_cast<std::size_t>(count);
}

std::size_t input_archive::get_foreign_count() {
  constexpr name_view name{"container", 9};
  std::size_t left = 0;
  for (const auto& segment : segments_.subspan(next_segment_)) {
    left += segment.size();
  }
  const auto count = get_value<std::uint64_t>(name);
  left += inline_left();
  if (count > left) {
    fail(name, "it announces " + std::to_string(count) + " elements and " + bytes_text(left) +
                   " are left" + damaged);
  }
  return static_cast<std::size_t>(count);
}

std::span<const std::byte> input_archive::get_array(std::size_t size, name_view type) {
  if (size >= segment_threshold) {
    const auto mark = get_value<std::uint8_t>(type);
    if (mark == array_is_segment) {
      if (next_segment_ == segments_.size()) {
        fail(type, "its " + bytes_text(size) + " should be in a segment and all " +
                       std::to_string(segments_.size()) + " are read" + damaged);
      }
      const auto segment = segments_[next_segment_];
      if (segment.size() != size) {
        fail(type, "it should have " + bytes_text(size) + " and segment " +
                       std::to_string(next_segment_) + " holds " + std::to_string(segment.size()) +
                       damaged);
      }
      ++next_segment_;
      return segment;
    }
    if (mark != array_is_inline) {
      fail(type, "its bytes are marked " + std::to_string(mark) +
                     ", neither inline (0) nor a segment (1)" + damaged);
    }
  }
  if (size > inline_left()) {
    too_short(size, type);
  }
  const auto array = bytes_.subspan(position_, size);
  position_ += size;
  return array;
}

void input_archive::finish(name_view type) const {
  if (inline_left() != 0 || next_segment_ != segments_.size()) {
    fail(type, bytes_text(inline_left()) + " and " +
                   std::to_string(segments_.size() - next_segment_) +
                   " segments are left over after it" + damaged);
  }
}

input_archive::shared_reference input_archive::get_shared(std::type_index type, bool owning,
                                                          name_view name) {
  const auto id = get_value<std::uint32_t>(name);
  if (id == 0) {
    return {nullptr, false};
  }
  if ((id & object_follows) != 0) {
    if ((id & ~object_follows) != shared_.size() + 1) {
      fail(name, "a new object has id " + std::to_string(id & ~object_follows) +
                     " where the next is " + std::to_string(shared_.size() + 1) + damaged);
    }
    return {nullptr, true};
  }
  if (id > shared_.size()) {
    fail(name, "it refers to object " + std::to_string(id) + " of " +
                   std::to_string(shared_.size()) + damaged);
  }
  const shared_entry& entry = shared_[id - 1];
  if (entry.type != type) {
    fail(name,
         "it refers to object " + std::to_string(id) + ", which is of another type" + damaged);
  }
  if (owning && !entry.complete) {
    fail(name, "it refers to an object that holds it, which nobody would ever free" +
                   std::string(damaged));
  }
  return {entry.object, false};
}

std::size_t input_archive::add_shared(std::shared_ptr<void> object, std::type_index type) {
  shared_.push_back({std::move(object), type, false});
  return shared_.size() - 1;
}

void input_archive::too_short(std::size_t size, name_view type) const {
  fail(type, "it needs " + bytes_text(size) + " and " + bytes_text(inline_left()) + " are left" +
                 damaged);
}

void input_archive::bad_bool(unsigned byte, name_view type) const {
  fail(type, "a flag is " + std::to_string(byte) + ", neither 0 nor 1" + damaged);
}

void input_archive::over_budget(std::size_t size, name_view type) const {
  fail(type, "another " + bytes_text(size) +
                 " would take more memory than its bytes may; the bytes are hostile, or the value "
                 "is much larger than its archived form and should be sent in parts");
}

}  // namespace troupe::detail
