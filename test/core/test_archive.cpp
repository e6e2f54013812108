// What is written is read back, and large arrays travel by reference.
#include "test/support/catch.hpp"

#include <troupe/archive.hpp>

#include <array>
#include <chrono>
#include <complex>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
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
using std::chrono::milliseconds;

template <class T>
T round_trip(const T& value) {
  const encoded bytes = encode(value);
  return decode<T>(bytes.inline_bytes, bytes.segments);
}

template <class T>
void check_same(const T& value) {
  CHECK(round_trip(value) == value);
}

enum class colour : std::uint8_t { red, green };

struct empty {
  template <class Archive>
  void serialize(Archive&) {}
  bool operator==(const empty&) const = default;
  auto operator<=>(const empty&) const = default;
};

struct person {
  std::string name;
  std::optional<int> age;
  std::map<std::string, std::vector<double>> scores;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(name, cereal::make_nvp("age", age), CEREAL_NVP(scores));
  }
  bool operator==(const person&) const = default;
};

class hidden {
 public:
  hidden() = default;
  explicit hidden(int n) : n_(n) {}
  bool operator==(const hidden&) const = default;

 private:
  friend class cereal::access;
  template <class Archive>
  void save(Archive& ar) const {
    ar(n_);
  }
  template <class Archive>
  void load(Archive& ar) {
    ar(n_);
  }
  int n_ = 0;
};

struct versioned {
  int n = 0;
  std::uint32_t seen = 0;
  template <class Archive>
  void serialize(Archive& ar, std::uint32_t version) {
    seen = version;
    ar(n);
  }
};

struct minimal {
  std::string text;
  template <class Archive>
  std::string save_minimal(const Archive&) const {
    return text;
  }
  template <class Archive>
  void load_minimal(const Archive&, const std::string& from) {
    text = from;
  }
  bool operator==(const minimal&) const = default;
};

struct base {
  int b = 0;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(b);
  }
};
struct derived : base {
  int d = 0;
  int grid[2][2] = {};
  bool flags[3] = {};
  template <class Archive>
  void serialize(Archive& ar) {
    ar(cereal::base_class<base>(this), d, grid, flags);
  }
};

/// Its constructor throws, and it is too big for a variant to make it aside first.
struct fragile {
  fragile() = default;
  explicit fragile(int) { throw 1; }
  std::string text;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(text);
  }
};

struct tree {
  int n = 0;
  std::vector<tree> children;
  std::unique_ptr<tree> next;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(n, children, next);
  }
};

struct node {
  int n = 0;
  std::shared_ptr<node> down;
  std::weak_ptr<node> up;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(n, down, up);
  }
};

std::vector<double> big_array() {
  std::vector<double> numbers(10'000);
  std::iota(numbers.begin(), numbers.end(), 0.5);
  return numbers;
}

bool lies_in(std::span<const std::byte> segment, const std::vector<double>& array) {
  return segment.data() == reinterpret_cast<const std::byte*>(array.data()) &&
         segment.size() == array.size() * sizeof(double);
}

struct pixels {
  std::vector<double> values;
  std::array<float, 2000> fixed{};
  int grid[50][50] = {};
  bool mask[5000] = {};
  template <class Archive>
  void serialize(Archive& ar) {
    ar(values, fixed, grid, mask);
  }
};

/// Writes an array that it makes for the purpose, as a matrix of another library would.
struct flattened {
  std::vector<double> values;
  template <class Archive>
  void save(Archive& ar) const {
    const std::vector<double> copy(values.rbegin(), values.rend());
    ar(copy);
    ar(cereal::binary_data(copy.data(), copy.size() * sizeof(double)));
  }
  template <class Archive>
  void load(Archive& ar) {
    ar(values);
    std::vector<double> again(values.size());
    ar(cereal::binary_data(again.data(), again.size() * sizeof(double)));
    if (again != values) {
      values.clear();
    }
  }
};

// The light trait must agree with what cereal finds for our archives.
template <class T>
constexpr bool cereal_agrees = troupe::archivable<T> ==
                               (cereal::traits::is_output_serializable<T, output_archive>::value &&
                                cereal::traits::is_input_serializable<T, input_archive>::value);

struct nothing {
  int n;
};
struct both_ways {
  template <class Archive>
  void serialize(Archive&) {}
  template <class Archive>
  void save(Archive&) const {}
  template <class Archive>
  void load(Archive&) {}
};

static_assert(cereal_agrees<int> && cereal_agrees<colour> && cereal_agrees<std::byte>);
static_assert(cereal_agrees<empty> && cereal_agrees<person> && cereal_agrees<hidden> &&
              cereal_agrees<versioned> && cereal_agrees<minimal> && cereal_agrees<derived>);
static_assert(cereal_agrees<nothing> && cereal_agrees<both_ways>);
static_assert(cereal_agrees<std::string> && cereal_agrees<std::vector<int>> &&
              cereal_agrees<std::vector<bool>> && cereal_agrees<std::map<int, person>> &&
              cereal_agrees<std::tuple<int, person>> && cereal_agrees<std::monostate> &&
              cereal_agrees<std::variant<int, person>> && cereal_agrees<std::optional<person>> &&
              cereal_agrees<std::unique_ptr<person>> && cereal_agrees<std::weak_ptr<person>> &&
              cereal_agrees<std::complex<double>> && cereal_agrees<milliseconds> &&
              cereal_agrees<std::filesystem::path>);
static_assert(cereal_agrees<std::function<void()>> && cereal_agrees<std::mutex> &&
              cereal_agrees<std::exception_ptr> && cereal_agrees<std::string_view>);
static_assert(cereal_agrees<troupe::in_process<std::function<void()>>>);

}  // namespace

TEST_CASE("numbers and enums are read back as they were") {
  check_same(true);
  check_same('x');
  check_same(std::int64_t{-5});
  check_same(std::numeric_limits<double>::denorm_min());
  check_same(std::numeric_limits<long double>::max());
  check_same(colour::green);
  check_same(std::byte{200});
  CHECK(encode(1, std::uint8_t{2}).inline_bytes ==
        std::vector<std::byte>{std::byte{1}, {}, {}, {}, std::byte{2}});
}

TEST_CASE("strings and containers are read back as they were") {
  check_same(std::string("text"));
  check_same(std::u16string(u"wide"));
  check_same(std::vector<int>{1, 2, 3});
  check_same(std::vector<bool>{true, false, true});
  check_same(std::vector<std::byte>(9, std::byte{7}));
  check_same(std::vector<std::string>{"a", "", "c"});
  check_same(std::vector<std::complex<float>>{{1, 2}, {3, 4}});
  check_same(std::vector<long double>{1.5L});
  check_same(std::deque<std::vector<int>>{{1}, {}, {2, 3}});
  check_same(std::list<int>{3, 2, 1});
  check_same(std::forward_list<std::string>{"x", "y"});
  check_same(std::set<int>{1, 2});
  check_same(std::multiset<int>{1, 1});
  check_same(std::unordered_set<std::string>{"p", "q"});
  check_same(std::unordered_multiset<int>{5, 5});
  check_same(std::map<std::string, std::map<int, double>>{{"k", {{1, 0.5}}}});
  check_same(std::multimap<int, int>{{1, 2}, {1, 3}});
  check_same(std::unordered_map<int, std::string>{{1, "one"}});
  check_same(std::unordered_multimap<int, int>{{1, 1}, {1, 1}});
}

TEST_CASE("pairs, tuples, arrays, optionals and variants are read back as they were") {
  check_same(std::pair<const int, std::string>(1, "one").second);
  check_same(std::pair<int, std::string>(1, "one"));
  check_same(std::tuple<>());
  check_same(std::tuple<int, std::string, bool>(1, "two", true));
  check_same(std::array<bool, 3>{true, false, true});
  check_same(std::array<std::string, 2>{"a", "b"});
  check_same(std::array<int, 0>{});
  check_same(std::optional<int>());
  check_same(std::optional<std::string>("here"));
  check_same(std::variant<int, std::string, std::monostate>("text"));
  check_same(std::variant<int, std::string, std::monostate>(std::monostate()));
}

TEST_CASE("durations, time points, complex numbers and paths are read back as they were") {
  check_same(milliseconds(5));
  check_same(std::chrono::duration<double>(0.25));
  check_same(std::chrono::system_clock::now());
  check_same(std::complex<double>(1, -1));
  check_same(std::filesystem::path("/a/b.txt"));
}

TEST_CASE("classes are read back by whichever functions of cereal's they have") {
  check_same(person{"Ada", 36, {{"logic", {1.0, 2.0}}}});
  check_same(hidden(7));
  check_same(minimal{"small"});
  check_same(std::vector<minimal>{{"a"}, {"b"}});
  CHECK(round_trip(versioned{3, 9}).n == 3);
  derived d;
  d.b = 1;
  d.d = 2;
  d.grid[1][0] = 3;
  d.flags[2] = true;
  const derived same = round_trip(d);
  CHECK(std::tuple(same.b, same.d, same.grid[1][0], same.flags[2]) == std::tuple(1, 2, 3, true));
}

TEST_CASE("containers of elements without content keep their number") {
  check_same(std::vector<empty>(1000));
  check_same(std::list<std::tuple<>>(3));
  check_same(std::map<empty, std::monostate>{{}});
  check_same(std::vector<std::variant<std::monostate>>(5));
  check_same(std::vector<std::array<int, 0>>(4));
}

TEST_CASE("values written one after the other are read as a tuple") {
  const std::string text = "one";
  const std::vector<int> numbers{1, 2};
  const encoded bytes = encode(text, numbers, 3.0);
  using all = std::tuple<std::string, std::vector<int>, double>;
  CHECK(decode<all>(bytes.inline_bytes, bytes.segments) == all(text, numbers, 3.0));
}

TEST_CASE("smart pointers are read back with what they point at") {
  CHECK(round_trip(std::unique_ptr<int>()) == nullptr);
  CHECK(*round_trip(std::make_unique<std::string>("owned")) == "owned");
  CHECK(*round_trip(std::unique_ptr<const int>(new int(5))) == 5);

  tree root;
  root.children.resize(2);
  root.children[1].n = 4;
  root.next = std::make_unique<tree>();
  root.next->n = 5;
  const tree same = round_trip(root);
  CHECK(same.children.at(1).n == 4);
  CHECK(same.next->n == 5);
}

TEST_CASE("shared objects stay shared and weak pointers lead to them") {
  const auto one = std::make_shared<int>(1);
  using pointers = std::tuple<std::shared_ptr<int>, std::shared_ptr<const int>, std::weak_ptr<int>>;
  const auto [first, second, weak] = round_trip(pointers(one, one, one));
  CHECK(*first == 1);
  CHECK(first == second);
  CHECK(weak.lock() == first);

  auto parent = std::make_shared<node>();
  parent->down = std::make_shared<node>();
  parent->down->up = parent;
  const auto read = round_trip(parent);
  CHECK(read->down->up.lock() == read);
  CHECK(read.use_count() == 1);
}

TEST_CASE("an object and its first member behind two shared pointers stay two types") {
  const auto whole = std::make_shared<std::array<int, 1>>();
  const std::shared_ptr<int> member(whole, whole->data());
  using pointers = std::tuple<std::shared_ptr<std::array<int, 1>>, std::shared_ptr<int>>;
  (*whole)[0] = 8;
  const auto [array, number] = round_trip(pointers(whole, member));
  CHECK((*array)[0] == 8);
  CHECK(*number == 8);
}

TEST_CASE("shared objects that own each other are refused where they are written") {
  const auto one = std::make_shared<node>();
  one->down = std::make_shared<node>();
  one->down->down = one;
  CHECK_THROWS_WITH(encode(one), contains("std::weak_ptr"));
  one->down->down.reset();
}

TEST_CASE("a chain of pointers that the reader would refuse is refused where it is written") {
  tree first;
  for (int i = 0; i < max_archive_depth; ++i) {
    auto rest = std::make_unique<tree>(std::move(first));
    first = tree();
    first.next = std::move(rest);
  }
  CHECK_NOTHROW(round_trip(first));
  tree longer;
  longer.next = std::make_unique<tree>(std::move(first));
  CHECK_THROWS_WITH(encode(longer), contains("deeper than 200") && contains("cannot archive"));
}

TEST_CASE("a variant that lost its value is refused where it is written") {
  std::variant<int, fragile> lost;
  CHECK_THROWS_AS(lost.emplace<fragile>(1), int);
  REQUIRE(lost.valueless_by_exception());
  CHECK_THROWS_WITH(encode(lost), contains("lost its value"));
}

TEST_CASE("a large array is a segment in the value's own memory") {
  const std::vector<double> numbers = big_array();
  const encoded bytes = encode(numbers);
  REQUIRE(bytes.segments.size() == 1);
  CHECK(lies_in(bytes.segments[0], numbers));
  CHECK(bytes.inline_bytes.size() == 9);
  CHECK(bytes.total_size() == 9 + numbers.size() * sizeof(double));
  CHECK(decode<std::vector<double>>(bytes.inline_bytes, bytes.segments) == numbers);
}

TEST_CASE("an array becomes a segment from 4096 bytes on") {
  CHECK(encode(std::vector<char>(4095)).segments.empty());
  CHECK(encode(std::string(4095, 'x')).segments.empty());
  const std::string text(4096, 'x');
  const encoded bytes = encode(text);
  CHECK(bytes.segments.size() == 1);
  CHECK(decode<std::string>(bytes.inline_bytes, bytes.segments) == text);
  check_same(std::vector<char>(4095, 'y'));
}

TEST_CASE("large arrays in members, containers and behind pointers are segments too") {
  std::tuple<std::vector<pixels>, std::map<int, std::vector<double>>,
             std::unique_ptr<std::vector<double>>, std::shared_ptr<pixels>,
             std::optional<std::list<std::vector<double>>>>
      value;
  auto& [many, mapped, owned, shared, optional] = value;
  many.resize(2);
  many[0].values = many[1].values = big_array();
  mapped[1] = big_array();
  owned = std::make_unique<std::vector<double>>(big_array());
  shared = std::make_shared<pixels>();
  shared->values = big_array();
  shared->grid[49][49] = 7;
  shared->mask[4999] = true;
  optional.emplace().push_back(big_array());
  const encoded bytes = encode(value);
  REQUIRE(bytes.segments.size() == 12);
  CHECK(lies_in(bytes.segments[0], many[0].values));
  CHECK(static_cast<const void*>(bytes.segments[4].data()) == many[1].fixed.data());
  CHECK(static_cast<const void*>(bytes.segments[5].data()) == many[1].grid);
  CHECK(lies_in(bytes.segments[6], mapped[1]));
  CHECK(lies_in(bytes.segments[7], *owned));
  CHECK(lies_in(bytes.segments[8], shared->values));
  CHECK(lies_in(bytes.segments[11], optional->front()));
  using type = std::remove_cvref_t<decltype(value)>;
  const auto same = decode<type>(bytes.inline_bytes, bytes.segments);
  CHECK(std::get<0>(same)[1].values == big_array());
  CHECK(std::get<3>(same)->grid[49][49] == 7);
  CHECK(std::get<3>(same)->mask[4999]);
  CHECK(std::get<4>(same)->front() == big_array());
}

TEST_CASE("an array that a save function makes for the purpose is copied") {
  const flattened value{big_array()};
  const encoded bytes = encode(value);
  CHECK(bytes.segments.empty());
  CHECK(decode<flattened>(bytes.inline_bytes).values ==
        std::vector<double>(value.values.rbegin(), value.values.rend()));
  CHECK(round_trip(minimal{std::string(5000, 'z')}).text.size() == 5000);

  CHECK(encode(big_array()).segments.empty());
  output_archive direct;
  direct(value.values);
  CHECK(direct.take().segments.empty());
}

TEST_CASE("elements are viewed in place where they are aligned") {
  const std::vector<double> numbers = big_array();
  const encoded bytes = encode(numbers);
  const auto view = view_array<double>(bytes.inline_bytes, bytes.segments);
  CHECK(view.data() == numbers.data());
  CHECK(view.size() == numbers.size());

  const encoded small = encode(std::vector<double>{1, 2});
  CHECK(view_array<double>(small.inline_bytes)[1] == 2);

  std::vector<std::byte> shifted(small.inline_bytes.size() + 1);
  std::copy(small.inline_bytes.begin(), small.inline_bytes.end(), shifted.begin() + 1);
  const auto odd = std::span<const std::byte>(shifted).subspan(1);
  CHECK_THROWS_WITH(view_array<double>(odd), contains("aligned to 8 bytes"));
  CHECK(decode<std::vector<double>>(odd) == std::vector<double>{1, 2});
}

TEST_CASE("an in_process value refuses to be archived and says what to do") {
  using callback = troupe::in_process<std::function<void()>>;
  CHECK_THROWS_AS(encode(callback()), archive_error);
  CHECK_THROWS_WITH(encode(std::vector<callback>(1)),
                    contains("in_process<std::function<void") && contains("serialize()"));

  // Also where there is no default to read into.
  struct handle {
    explicit handle(int) {}
  };
  using wrapped = troupe::in_process<handle>;
  const std::vector<std::byte> bytes(64, std::byte{1});
  CHECK_THROWS_WITH(decode<wrapped>(bytes), contains("never leaves its process"));
  CHECK_THROWS_AS(decode<troupe::in_process<int>>(bytes), archive_error);
  CHECK_THROWS_AS((decode<std::tuple<int, wrapped>>(bytes)), archive_error);
  CHECK_THROWS_AS((decode<std::pair<wrapped, int>>(bytes)), archive_error);
  CHECK_THROWS_AS((decode<std::array<wrapped, 2>>(bytes)), archive_error);
  CHECK_THROWS_AS((decode<std::variant<wrapped, int>>(bytes)), archive_error);
  CHECK_THROWS_AS(decode<std::unique_ptr<wrapped>>(bytes), archive_error);
  CHECK_THROWS_AS(decode<std::shared_ptr<wrapped>>(bytes), archive_error);
  std::vector<std::byte> one(9);
  one[0] = std::byte{1};
  CHECK_THROWS_WITH(decode<std::vector<wrapped>>(one), contains("never leaves its process"));
}

TEST_CASE("a shared pointer to a null and an expired weak pointer are null") {
  CHECK(round_trip(std::shared_ptr<int>()) == nullptr);
  CHECK(round_trip(std::weak_ptr<int>()).expired());
}
