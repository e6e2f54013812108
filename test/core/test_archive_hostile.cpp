// Bytes that no honest peer wrote are refused, quickly and without taking memory.
//
// All of cereal's headers for standard types are included first: with them in sight, too, it must
// be our functions that read.
#include "test/support/catch.hpp"

#include <cereal/types/array.hpp>
#include <cereal/types/atomic.hpp>
#include <cereal/types/bitset.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/complex.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/forward_list.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/queue.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/valarray.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>
#include <troupe/archive.hpp>

#include <cstdint>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace troupe::detail;
auto contains(const std::string& part) {
#if CATCH_VERSION_MAJOR >= 3
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

using bytes = std::vector<std::byte>;

template <class... Ts>
bytes raw(const Ts&... values) {
  bytes all;
  const auto add = [&](const auto& value) {
    const auto* first = reinterpret_cast<const std::byte*>(&value);
    all.insert(all.end(), first, first + sizeof(value));
  };
  (add(values), ...);
  return all;
}

constexpr std::uint64_t count(std::uint64_t n) { return n; }

/// Counts what a container asks for, over all element types.
struct allocations {
  static inline std::size_t bytes_taken = 0;
};
template <class T>
struct counting_allocator {
  using value_type = T;
  counting_allocator() = default;
  template <class U>
  counting_allocator(const counting_allocator<U>&) {}
  T* allocate(std::size_t n) {
    allocations::bytes_taken += n * sizeof(T);
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, std::size_t n) { std::allocator<T>().deallocate(p, n); }
  bool operator==(const counting_allocator&) const = default;
};

/// Expects an archive_error about `why` that came before more than `allowed` bytes were allocated.
template <class T>
void check_refused(const bytes& input, const std::string& why, std::size_t allowed = 0) {
  allocations::bytes_taken = 0;
  CHECK_THROWS_WITH(decode<T>(input), contains(why));
  CHECK_THROWS_AS(decode<T>(input), archive_error);
  CHECK(allocations::bytes_taken / 2 <= allowed);
}

template <class T>
using counted_vector = std::vector<T, counting_allocator<T>>;

struct page {
  char fill[4096] = {};
  bool set = false;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(set);
  }
};
struct empty {
  template <class Archive>
  void serialize(Archive&) {}
};
struct chain {
  std::unique_ptr<chain> next;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(next);
  }
};
struct shared_chain {
  std::shared_ptr<shared_chain> next;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(next);
  }
};
struct nest {
  std::vector<nest> inner;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(inner);
  }
};
struct apple {
  std::int64_t weight = 0;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(weight);
  }
};
struct pear {
  std::string name;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(name);
  }
};
struct switches {
  bool on[4] = {};
  template <class Archive>
  void serialize(Archive& ar) {
    ar(on);
  }
};
struct packed_switches {
  bool on[4] = {};
  template <class Archive>
  void serialize(Archive& ar) {
    ar(cereal::binary_data(&on[0], sizeof(on)));
  }
};
enum class flag : bool { off, on };

}  // namespace

TEST_CASE("a length that the bytes cannot hold is refused before any allocation") {
  check_refused<counted_vector<double>>(raw(count(1) << 28), "0 bytes are left");
  check_refused<counted_vector<double>>(raw(~count(0)), "announces 18446744073709551615");
  check_refused<counted_vector<double>>(raw((~count(0) / 8) + 1), "elements");
  check_refused<counted_vector<double>>(raw(count(2), 1.0), "needs 16 bytes and 8 bytes are left");
  check_refused<counted_vector<std::string>>(raw(count(1) << 26), "0 bytes are left");
  check_refused<counted_vector<bool>>(raw(count(1) << 33), "0 bytes are left");
  check_refused<counted_vector<page>>(raw(count(1000000)), "0 bytes are left");
  check_refused<std::basic_string<char, std::char_traits<char>, counting_allocator<char>>>(
      raw(count(1) << 40), "0 bytes are left");
  check_refused<std::list<int, counting_allocator<int>>>(raw(count(100000000)), "0 bytes are left");
  check_refused<std::deque<int, counting_allocator<int>>>(raw(count(1) << 30), "are left", 2048);
  check_refused<std::forward_list<int, counting_allocator<int>>>(raw(count(1) << 30), "are left");
  check_refused<std::unordered_set<int, std::hash<int>, std::equal_to<>, counting_allocator<int>>>(
      raw(count(100000000)), "0 bytes are left");
  check_refused<std::unordered_map<int, int>>(raw(count(1) << 60), "0 bytes are left");
  check_refused<std::set<int>>(raw(count(1) << 60), "0 bytes are left");
  check_refused<std::map<int, int>>(raw(count(1) << 60), "0 bytes are left");
  check_refused<std::valarray<double>>(raw(count(1) << 40), "0 bytes are left");
}

TEST_CASE("elements without content cannot be announced for free") {
  check_refused<std::list<empty, counting_allocator<empty>>>(raw(count(30000000)),
                                                             "0 bytes are left");
  check_refused<counted_vector<empty>>(raw(count(1), std::uint8_t{7}), "not marked", 1);
}

TEST_CASE("small elements cannot grow into more memory than the bytes may take") {
  bytes input = raw(count(200000));
  input.resize(input.size() + 200000);
  const input_limits tight{.base = 1 << 20, .per_byte = 16};
  CHECK_THROWS_WITH(decode<std::vector<page>>(input, {}, tight), contains("more memory"));
  CHECK_THROWS_WITH(decode<std::list<page>>(input, {}, tight), contains("more memory"));
  CHECK_THROWS_WITH((decode<std::vector<std::optional<std::array<page, 100>>>>(input)),
                    contains("more memory"));
  CHECK(decode<std::vector<bool>>(input, {}, tight).size() == 200000);
  const input_limits unbounded{.base = ~std::size_t{0}, .per_byte = ~std::size_t{0}};
  CHECK(decode<std::deque<char>>(input, {}, unbounded).size() == 200000);
}

TEST_CASE("pointers and containers that nest without end do not overflow the stack") {
  const bytes ones(400000, std::byte{1});
  check_refused<chain>(ones, "deeper than 200");

  bytes nested;
  for (int i = 0; i < 100000; ++i) {
    const bytes level = raw(count(1));
    nested.insert(nested.end(), level.begin(), level.end());
  }
  check_refused<nest>(nested, "deeper than 200");

  bytes shared;
  for (std::uint32_t i = 1; i < 100000; ++i) {
    const bytes level = raw(i | 0x80000000u);
    shared.insert(shared.end(), level.begin(), level.end());
  }
  check_refused<shared_chain>(shared, "deeper than 200");
}

TEST_CASE("a shared id of another type is refused") {
  using pair = std::pair<std::shared_ptr<apple>, std::shared_ptr<pear>>;
  check_refused<pair>(raw(0x80000001u, std::int64_t{1} << 40, 1u), "of another type");
}

TEST_CASE("a shared id that names nothing, or a new object out of turn, is refused") {
  check_refused<std::shared_ptr<apple>>(raw(7u), "object 7 of 0");
  check_refused<std::shared_ptr<apple>>(raw(0x80000005u, std::int64_t{1}), "id 5 where the next");
  check_refused<std::shared_ptr<apple>>(raw(0x80000000u, std::int64_t{1}), "id 0 where the next");
  using pair = std::pair<std::shared_ptr<apple>, std::shared_ptr<apple>>;
  check_refused<pair>(raw(0x80000001u, std::int64_t{1}, 0x80000001u, std::int64_t{1}),
                      "id 1 where the next is 2");
}

TEST_CASE("bytes cannot make objects that own each other and are never freed") {
  check_refused<shared_chain>(raw(0x80000001u, 1u), "refers to an object that holds it");
}

TEST_CASE("a bool is 0 or 1 wherever one is read") {
  check_refused<bool>(raw(std::uint8_t{5}), "neither 0 nor 1");
  check_refused<flag>(raw(std::uint8_t{2}), "neither 0 nor 1");
  check_refused<std::vector<bool>>(raw(count(1), std::uint8_t{2}), "neither 0 nor 1");
  check_refused<std::array<bool, 2>>(raw(true, std::uint8_t{2}), "neither 0 nor 1");
  check_refused<switches>(raw(true, true, std::uint8_t{255}, true), "neither 0 nor 1");
  check_refused<packed_switches>(raw(true, true, std::uint8_t{255}, true),
                                 "neither true nor false");
  check_refused<std::optional<int>>(raw(std::uint8_t{3}, 1), "neither 0 nor 1");
  check_refused<std::unique_ptr<int>>(raw(std::uint8_t{3}, 1), "neither 0 nor 1");
}

TEST_CASE("a variant's index is one of its alternatives") {
  using variant = std::variant<int, std::string>;
  check_refused<variant>(raw(std::int32_t{2}, 1), "2 alternatives");
  check_refused<variant>(raw(std::int32_t{-1}, 1), "number -1");
}

TEST_CASE("bytes that end early or go on too long are refused") {
  check_refused<std::int64_t>(raw(1), "needs 8 bytes and 4 bytes are left");
  check_refused<int>(raw(1, 2), "4 bytes and 0 segments are left over");
  check_refused<int>({}, "needs 4 bytes and 0 bytes are left");
  CHECK_THROWS_WITH(decode<std::vector<int>>(raw(count(1))),
                    contains("cannot read an archived") && contains("vector<int") &&
                        contains("at byte 8") && contains("damaged"));
}

TEST_CASE("a segment is there, of the right length, and used") {
  const std::vector<double> numbers(1000, 1.5);
  const encoded good = encode(numbers);
  using type = counted_vector<double>;
  const auto refused = [](const bytes& head, std::vector<std::span<const std::byte>> segments,
                          const std::string& why) {
    allocations::bytes_taken = 0;
    CHECK_THROWS_WITH(decode<type>(head, segments), contains(why));
    CHECK(allocations::bytes_taken == 0);
  };
  refused(good.inline_bytes, {}, "should be in a segment");
  refused(good.inline_bytes, {good.segments[0].first(7999)}, "segment 0 holds 7999");
  refused(raw(count(1001), array_is_segment), good.segments, "8008 bytes");
  refused(raw(count(1000), std::uint8_t{2}), good.segments, "marked 2");
  refused(raw(count(1000), array_is_inline), good.segments, "needs 8000 bytes");
  refused(raw(count(1) << 59, array_is_segment), good.segments, "segment 0 holds 8000");
  CHECK_THROWS_WITH(decode<int>(raw(1), good.segments), contains("1 segments are left over"));
}

TEST_CASE("what cereal itself refuses is an archive_error too") {
  // Valid but for its kind, which cereal checks.
  check_refused<std::bitset<8>>(raw(std::uint8_t{9}), "Invalid bitset");
}

TEST_CASE("cereal's headers for standard types change neither what is written nor read") {
  const std::tuple<std::optional<int>, std::chrono::milliseconds, std::complex<float>,
                   std::variant<int, bool>, std::vector<std::string>, std::map<int, bool>,
                   std::array<int, 2>, std::pair<bool, char>>
      value{1, std::chrono::milliseconds(2), {3, 4}, true, {"a"}, {{1, true}}, {5, 6}, {true, 'x'}};
  const encoded written = encode(value);
  CHECK(written.inline_bytes == raw(false, 1, std::int64_t{2}, 3.0f, 4.0f, std::int32_t{1}, true,
                                    count(1), count(1), 'a', count(1), 1, true, 5, 6, true, 'x'));
  CHECK(decode<std::remove_const_t<decltype(value)>>(written.inline_bytes) == value);

  std::tuple<std::queue<int>, std::valarray<double>, std::bitset<9>, std::vector<int>> more;
  std::get<0>(more).push(3);
  std::get<1>(more) = std::valarray<double>(0.5, 1000);
  std::get<2>(more).set(8);
  std::get<3>(more) = std::vector<int>(2000, 1);
  const encoded also = encode(more);
  const auto same = decode<decltype(more)>(also.inline_bytes, also.segments);
  CHECK(std::get<0>(same).front() == 3);
  CHECK(std::get<1>(same).sum() == 500);
  CHECK(std::get<2>(same) == std::get<2>(more));
  CHECK(std::get<3>(same) == std::get<3>(more));
  static_assert(troupe::archivable<std::queue<int>> && troupe::archivable<std::bitset<8>> &&
                troupe::archivable<std::valarray<int>>);
  static_assert(!troupe::archivable<std::vector<int*>>);
}

TEST_CASE("any damage to honest bytes is either a value or an archive_error") {
  using type = std::tuple<std::vector<std::string>, std::map<std::string, std::vector<double>>,
                          std::optional<std::unique_ptr<chain>>, std::shared_ptr<apple>,
                          std::shared_ptr<apple>, std::variant<int, pear, std::vector<bool>>,
                          std::unordered_map<int, std::list<empty>>, std::u32string>;
  type value;
  std::get<0>(value) = {"one", "two", std::string(5000, 'x')};
  std::get<1>(value) = {{"k", {1, 2, 3}}, {"l", std::vector<double>(600, 0.5)}};
  std::get<2>(value) = std::make_unique<chain>();
  std::get<3>(value) = std::get<4>(value) = std::make_shared<apple>();
  std::get<5>(value) = std::vector<bool>(20, true);
  std::get<6>(value) = {{1, std::list<empty>(3)}, {2, {}}};
  std::get<7>(value) = U"text";
  const encoded good = encode(value);

  std::mt19937 random(7);
  int values = 0;
  int errors = 0;
  for (int round = 0; round < 20000; ++round) {
    bytes damaged = good.inline_bytes;
    auto segments = good.segments;
    for (unsigned n = random() % 3 + 1; n != 0; --n) {
      damaged[random() % damaged.size()] = static_cast<std::byte>(random() % 4 == 0 ? random() : 1);
    }
    if (random() % 8 == 0) {
      damaged.resize(random() % damaged.size());
    }
    if (random() % 16 == 0) {
      segments.pop_back();
    }
    try {
      (void)decode<type>(damaged, segments, {.base = 1 << 20, .per_byte = 64});
      ++values;
    } catch (const archive_error&) {
      ++errors;
    }
  }
  CHECK(values + errors == 20000);
  CHECK(errors > 0);
}
