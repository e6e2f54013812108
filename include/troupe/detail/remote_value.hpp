/// Objects whose values come archived, from another process or from the node's store, and how
/// values get there.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/archive.hpp>
#include <troupe/detail/object_state.hpp>
#include <troupe/detail/sharing.hpp>
#include <troupe/detail/stored_value.hpp>
#include <troupe/detail/waiting.hpp>

namespace troupe {
template <class T>
class object_ref;
}

namespace troupe::detail {

/// Whether a value can be so large that it lies in a store. Before such a value stands a mark that
/// says whether it does.
template <class T>
inline constexpr bool storable_v =
    archivable_v<T> && !stays_in_process_v<T> && !std::is_void_v<T> && !std::is_arithmetic_v<T> &&
    !std::is_enum_v<T>;
template <class T>
inline constexpr bool storable_v<object_ref<T>> = false;

inline constexpr std::uint8_t value_follows = 0;
inline constexpr std::uint8_t lies_in_store = 1;
inline constexpr std::uint8_t given_in_store = 2;  ///< and whoever reads this owns it

// -- reading --------------------------------------------------------------------------------------

template <class T>
T decode_mapped(const mapped_value& from) {
  input_archive archive(from.inline_bytes(), from.segments());
  T value = load_value<T>(archive);
  archive.finish(type_name<T>());
  return value;
}

template <class T>
void* read_stored_value(result_slot<T>& slot, const mapped_value& from) {
  if constexpr (std::is_void_v<T>) {
    return nullptr;
  } else {
    return slot.emplace_from([&] { return decode_mapped<T>(from); });
  }
}

/// A value of the caller's own, without one in between.
template <class T>
T copy_from_store(const object_state& object, const deadline& until) {
  return decode_mapped<T>(*object.stored()->map(until));
}

/// Where the value is that an archive announces; null when the value itself follows.
template <class T>
stored_ptr load_mark([[maybe_unused]] input_archive& archive) {
  if constexpr (storable_v<T>) {
    const auto mark = archive.get_value<std::uint8_t>(type_name<T>());
    if (mark == lies_in_store || mark == given_in_store) {
      return load_stored(archive, mark == given_in_store);
    }
    if (mark != value_follows) archive.fail(type_name<T>(), "it begins with an unknown mark");
  }
  return nullptr;
}

/// The object was cancelled meanwhile: what lies in a store for it is freed.
template <class T>
void discard_value([[maybe_unused]] input_archive& archive) noexcept {
  try {
    if constexpr (!std::is_void_v<T>) static_cast<void>(load_mark<T>(archive));
  } catch (const std::exception&) {
    // What cannot be read is of no object any more, either.
  }
}

template <class T, class Object>
void receive_value(Object& object, [[maybe_unused]] result_slot<T>& slot,
                   input_archive& archive) noexcept {
  if (!object.claim()) return discard_value<T>(archive);
  try {
    if constexpr (std::is_void_v<T>) {
      archive.finish(name_view{"void", 4});
      object.complete(nullptr);
    } else if (stored_ptr where = load_mark<T>(archive)) {
      archive.finish(type_name<T>());
      object.complete_stored(std::move(where));
    } else {
      object.complete(slot.emplace_from([&] {
        T value = load_value<T>(archive);
        archive.finish(type_name<T>());
        return value;
      }));
    }
  } catch (...) {
    object.fail(make_failure(std::current_exception()));
  }
}

template <class T>
class remote_value final : public remote_object {
 public:
  void complete_from(input_archive& archive) noexcept override {
    receive_value<T>(*this, slot_, archive);
  }

 private:
  ~remote_value() override {
    if (value_is_here()) slot_.destroy();
  }
  void* read_stored(const mapped_value& from) override { return read_stored_value(slot_, from); }
  [[no_unique_address]] result_slot<T> slot_;
};

// -- writing --------------------------------------------------------------------------------------

/// Nothing but the values of one object may be written to `archive`. The mark comes first.
template <class T, class Store>
stored_ptr save_or_store(output_archive& archive, const T& value, Store&& store) {
  archive.put_value(value_follows);
  archive.root(value);
  if (archive.total_size() < least_stored() || archive.personal()) return nullptr;
  encoded written = archive.take();
  stored_ptr where = store(std::span<const std::byte>(written.inline_bytes).subspan(1),
                           std::span<const std::span<const std::byte>>(written.segments));
  if (!where) archive.put_back(std::move(written));
  return where;
}

/// Writes the result of a task or call for its owner.
template <class T>
void save_result_of([[maybe_unused]] output_archive& archive,
                    [[maybe_unused]] object_state& object) {
  if constexpr (storable_v<T>) {
    const stored_ptr where = save_or_store(
        archive, *static_cast<const T*>(object.value()), [&](auto bytes, auto segments) {
          return store_result(bytes, segments, object.describe());
        });
    if (!where) return;
    archive.put_value(given_in_store);
    save_stored(archive, *where);
  } else if constexpr (!std::is_void_v<T>) {
    archive.root(*static_cast<const T*>(object.value()));
  }
}

/// Writes an object's value for one who borrows it.
template <class T>
void save_lent_value([[maybe_unused]] output_archive& archive,
                     [[maybe_unused]] object_state& object) {
  if constexpr (storable_v<T>) {
    stored_ptr where = object.stored();
    if (!where) {
      where = save_or_store(archive, *static_cast<const T*>(object.value()),
                            [&](auto bytes, auto segments) {
                              return store_value(bytes, segments, object.describe());
                            });
      if (!where) return;
      object.keep_stored(where);
    }
    archive.put_value(lies_in_store);
    save_stored(archive, *where);
  } else if constexpr (!std::is_void_v<T>) {
    archive.root(*static_cast<const T*>(object.value()));
  }
}

/// A value of at most so many bytes costs less with its ref than the question for it would.
inline constexpr std::size_t most_along = 1024;

template <class T>
bool value_goes_along([[maybe_unused]] const object_state& object) noexcept {
  if constexpr (std::is_void_v<T>) {
    return true;
  } else if constexpr (reads_in_place_v<T> || std::is_same_v<T, std::string>) {
    if (!object.value_is_here()) return false;
    const auto& value = *static_cast<const T*>(object.value());
    return value.size() * sizeof(typename T::value_type) <= most_along;
  } else {
    return archivable_v<T> && std::is_trivially_copyable_v<T> && sizeof(T) <= most_along &&
           object.value_is_here();
  }
}

/// Where a large array lies in the store, once it has been put there; null for others.
template <class T>
stored_ptr share_array(object_state& object) {
  stored_ptr where = object.stored();
  if constexpr (reads_in_place_v<T>) {
    if (where) return where;
    const auto& value = *static_cast<const T*>(object.value());
    if (value.size() * sizeof(typename T::value_type) < least_stored()) return nullptr;
    output_archive archive;
    archive.root(value);
    const encoded written = archive.take();
    where = store_value(written.inline_bytes, written.segments, object.describe());
    if (where) object.keep_stored(where);
  }
  return where;
}

/// An object in the store; empty when the value is too small or must stay with its owner.
template <class T>
object_ptr put_into_store(const T& value, const std::source_location& place) {
  if constexpr (storable_v<T>) {
    if constexpr (reads_in_place_v<T> || std::is_same_v<T, std::string>) {
      if (value.size() * sizeof(typename T::value_type) < least_stored()) return {};
    }
    output_archive archive;
    archive.write_for_store();
    try {
      archive.root(value);
    } catch (const archive_error&) {
      return {};  // it holds refs, or what its class refuses to write: it is told when it is sent
    }
    if (archive.total_size() < least_stored()) return {};
    const encoded written = archive.take();
    const std::string_view file = place.file_name();
    stored_ptr where = store_value(written.inline_bytes, written.segments,
                                   "put at " + std::string(file.substr(file.rfind('/') + 1)) + ":" +
                                       std::to_string(place.line()));
    if (!where) return {};
    auto* const object = new remote_value<T>;
    auto result = object_ptr::adopt(object);
    object->claim();
    object->complete_stored(std::move(where));
    return result;
  } else {
    return {};
  }
}

template <class T>
const object_ops& object_ops_of() noexcept {
  static constexpr object_ops ops{&save_lent_value<T>, &value_goes_along<T>,
                                  []() -> remote_object* { return new remote_value<T>; }};
  return ops;
}

}  // namespace troupe::detail
