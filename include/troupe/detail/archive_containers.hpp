/// How the standard containers are written and read: element by element, within the memory budget,
/// or as one raw array where the elements are numbers.
///
/// Each element takes at least one byte, also an empty one, so that a count that the bytes cannot
/// hold is known at once.
#pragma once

#include <troupe/detail/archive_scalars.hpp>
#include <troupe/detail/archive_values.hpp>

#include <cstddef>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace troupe::detail {

/// What a node of a list, set or map costs besides its value.
inline constexpr std::size_t node_overhead = 32;

template <class Write>
void save_element(output_archive& ar, Write&& write) {
  const std::size_t before = ar.position();
  write();
  if (ar.position() == before) {
    ar.put_value(std::uint8_t{0});
  }
}

template <class Read>
void load_element(input_archive& ar, name_view name, Read&& read) {
  const std::size_t before = ar.position();
  read();
  if (ar.position() == before && ar.get_value<std::uint8_t>(name) != 0) {
    ar.fail(name, "an element without content is not marked as one");
  }
}

template <class C>
void save_sequence(output_archive& ar, const C& elements, std::size_t count) {
  ar.put_count(count);
  if (count == 0) {
    return;
  }
  const nesting_level level = ar.nest(type_name<C>());
  if (ar.is_stable(&elements, sizeof(elements))) {
    for (const auto& element : elements) {
      const output_archive::stable_scope scope(ar, &element, sizeof(element));
      save_element(ar, [&] { ar(element); });
    }
  } else {
    for (const auto& element : elements) {
      save_element(ar, [&] { ar(element); });
    }
  }
}

/// Reads a count, then calls `read` for each element, whose memory is charged first.
template <class C, class Read>
void load_sequence(input_archive& ar, C& elements, std::size_t element_size, Read&& read) {
  constexpr name_view name = type_name<C>();
  const std::size_t count = ar.get_count(name);
  elements.clear();
  if (count == 0) {
    return;
  }
  const nesting_level level = ar.nest(name);
  for (std::size_t i = 0; i < count; ++i) {
    ar.charge(element_size, name);
    load_element(ar, name, read);
  }
}

/// vector, deque, list
template <class C>
void load_back(input_archive& ar, C& elements, std::size_t overhead) {
  using element = typename C::value_type;
  load_sequence(ar, elements, sizeof(element) + overhead, [&] {
    if constexpr (std::is_default_constructible_v<element>) {
      elements.emplace_back();
      ar(elements.back());
    } else {
      elements.emplace_back(load_value<element>(ar));
    }
  });
}

/// The sets. A hint costs nothing where it does not help.
template <class C>
void load_keys(input_archive& ar, C& elements) {
  using key = typename C::key_type;
  load_sequence(ar, elements, sizeof(key) + node_overhead,
                [&] { elements.emplace_hint(elements.end(), load_value<key>(ar)); });
}

/// The maps.
template <class C>
void save_items(output_archive& ar, const C& items) {
  ar.put_count(items.size());
  if (items.empty()) {
    return;
  }
  const nesting_level level = ar.nest(type_name<C>());
  const bool stable = ar.is_stable(&items, sizeof(items));
  for (const auto& item : items) {
    const output_archive::stable_scope scope(ar, &item, stable ? sizeof(item) : 0);
    save_element(ar, [&] { ar(item.first, item.second); });
  }
}
template <class C>
void load_items(input_archive& ar, C& items) {
  using key = typename C::key_type;
  using mapped = typename C::mapped_type;
  load_sequence(ar, items, sizeof(typename C::value_type) + node_overhead, [&] {
    auto first = load_value<key>(ar);
    items.emplace_hint(items.end(), std::move(first), load_value<mapped>(ar));
  });
}

template <class T, class A>
void save(output_archive& ar, const std::vector<T, A>& elements) {
  if constexpr (is_raw<T>()) {
    ar.put_count(elements.size());
    ar.put_array(elements.data(), elements.size() * sizeof(T),
                 ar.is_stable(&elements, sizeof(elements)));
  } else {
    save_sequence(ar, elements, elements.size());
  }
}
template <class T, class A>
void load(input_archive& ar, std::vector<T, A>& elements) {
  if constexpr (is_raw<T>()) {
    load_raw_sequence<T>(ar, elements, type_name<std::vector<T, A>>());
  } else {
    load_back(ar, elements, 0);
  }
}

template <class A>
void save(output_archive& ar, const std::vector<bool, A>& bits) {
  ar.put_count(bits.size());
  for (const bool bit : bits) {
    ar.put_value(bit);
  }
}
template <class A>
void load(input_archive& ar, std::vector<bool, A>& bits) {
  constexpr name_view name = type_name<std::vector<bool, A>>();
  const std::size_t count = ar.get_count(name);
  ar.charge(count / 8, name);
  bits.clear();
  bits.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    bits.push_back(ar.get_bool(name));
  }
}

template <class T, class A>
void save(output_archive& ar, const std::deque<T, A>& elements) {
  save_sequence(ar, elements, elements.size());
}
template <class T, class A>
void load(input_archive& ar, std::deque<T, A>& elements) {
  load_back(ar, elements, 0);
}

template <class T, class A>
void save(output_archive& ar, const std::list<T, A>& elements) {
  save_sequence(ar, elements, elements.size());
}
template <class T, class A>
void load(input_archive& ar, std::list<T, A>& elements) {
  load_back(ar, elements, node_overhead);
}

template <class T, class A>
void save(output_archive& ar, const std::forward_list<T, A>& elements) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& element : elements) {
    ++count;
  }
  save_sequence(ar, elements, count);
}
template <class T, class A>
void load(input_archive& ar, std::forward_list<T, A>& elements) {
  auto last = elements.before_begin();
  load_sequence(ar, elements, sizeof(T) + node_overhead,
                [&] { last = elements.emplace_after(last, load_value<T>(ar)); });
}

template <class K, class C, class A>
void save(output_archive& ar, const std::set<K, C, A>& keys) {
  save_sequence(ar, keys, keys.size());
}
template <class K, class C, class A>
void load(input_archive& ar, std::set<K, C, A>& keys) {
  load_keys(ar, keys);
}
template <class K, class C, class A>
void save(output_archive& ar, const std::multiset<K, C, A>& keys) {
  save_sequence(ar, keys, keys.size());
}
template <class K, class C, class A>
void load(input_archive& ar, std::multiset<K, C, A>& keys) {
  load_keys(ar, keys);
}
template <class K, class H, class E, class A>
void save(output_archive& ar, const std::unordered_set<K, H, E, A>& keys) {
  save_sequence(ar, keys, keys.size());
}
template <class K, class H, class E, class A>
void load(input_archive& ar, std::unordered_set<K, H, E, A>& keys) {
  load_keys(ar, keys);
}
template <class K, class H, class E, class A>
void save(output_archive& ar, const std::unordered_multiset<K, H, E, A>& keys) {
  save_sequence(ar, keys, keys.size());
}
template <class K, class H, class E, class A>
void load(input_archive& ar, std::unordered_multiset<K, H, E, A>& keys) {
  load_keys(ar, keys);
}

template <class K, class V, class C, class A>
void save(output_archive& ar, const std::map<K, V, C, A>& items) {
  save_items(ar, items);
}
template <class K, class V, class C, class A>
void load(input_archive& ar, std::map<K, V, C, A>& items) {
  load_items(ar, items);
}
template <class K, class V, class C, class A>
void save(output_archive& ar, const std::multimap<K, V, C, A>& items) {
  save_items(ar, items);
}
template <class K, class V, class C, class A>
void load(input_archive& ar, std::multimap<K, V, C, A>& items) {
  load_items(ar, items);
}
template <class K, class V, class H, class E, class A>
void save(output_archive& ar, const std::unordered_map<K, V, H, E, A>& items) {
  save_items(ar, items);
}
template <class K, class V, class H, class E, class A>
void load(input_archive& ar, std::unordered_map<K, V, H, E, A>& items) {
  load_items(ar, items);
}
template <class K, class V, class H, class E, class A>
void save(output_archive& ar, const std::unordered_multimap<K, V, H, E, A>& items) {
  save_items(ar, items);
}
template <class K, class V, class H, class E, class A>
void load(input_archive& ar, std::unordered_multimap<K, V, H, E, A>& items) {
  load_items(ar, items);
}

}  // namespace troupe::detail
