// What counts as archivable, judged without the archive or most of cereal being included.
#include "test/support/catch.hpp"

#include <cereal/access.hpp>
#include <troupe/detail/archivable.hpp>
#include <troupe/in_process.hpp>

#include <any>
#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <forward_list>
#include <fstream>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <queue>
#include <regex>
#include <set>
#include <span>
#include <sstream>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

namespace {

template <class... Ts>
constexpr bool all = (troupe::archivable<Ts> && ...);
template <class... Ts>
constexpr bool none = (!troupe::archivable<Ts> && ...);

enum class scoped { one };
enum unscoped { two };

struct plain {
  int n;
};

struct with_serialize {
  int n;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(n);
  }
};
struct with_deduced_result {
  int n;
  template <class Archive>
  auto serialize(Archive& ar) {
    return ar(n), 1;
  }
};
struct with_version {
  int n;
  template <class Archive>
  void serialize(Archive& ar, std::uint32_t) {
    ar(n);
  }
};
struct with_split {
  int n;
  template <class Archive>
  void save(Archive& ar) const {
    ar(n);
  }
  template <class Archive>
  void load(Archive& ar) {
    ar(n);
  }
};
struct with_minimal {
  int n;
  template <class Archive>
  int save_minimal(const Archive&) const {
    return n;
  }
  template <class Archive>
  void load_minimal(const Archive&, const int& from) {
    n = from;
  }
};
struct with_minimal_text {
  template <class Archive>
  std::string save_minimal(const Archive&) const {
    return {};
  }
  template <class Archive>
  void load_minimal(const Archive&, const std::string&) {}
};
struct by_direction {
  template <class Archive>
  requires(Archive::is_loading::value) void serialize(Archive&) {}
  template <class Archive>
  requires(Archive::is_saving::value) void serialize(Archive&) {}
};
class befriending {
 public:
  int get() const { return n_; }

 private:
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(n_);
  }
  int n_ = 0;
};
struct polymorphic {
  virtual ~polymorphic() = default;
  template <class Archive>
  void serialize(Archive&) {}
};
struct recursive {
  std::vector<recursive> children;
  std::unique_ptr<recursive> next;
  template <class Archive>
  void serialize(Archive& ar) {
    ar(children, next);
  }
};

struct only_save {
  template <class Archive>
  void save(Archive&) const {}
};
struct only_load {
  template <class Archive>
  void load(Archive&) {}
};
struct save_not_const {
  template <class Archive>
  void save(Archive&) {}
  template <class Archive>
  void load(Archive&) {}
};
struct two_ways {
  template <class Archive>
  void serialize(Archive&) {}
  template <class Archive>
  void save(Archive&) const {}
  template <class Archive>
  void load(Archive&) {}
};
struct two_ways_but_chosen : two_ways {};
struct minimal_of_a_struct {
  template <class Archive>
  plain save_minimal(const Archive&) const {
    return {};
  }
  template <class Archive>
  void load_minimal(const Archive&, const plain&) {}
};
class private_without_friend {
 public:
  int get() const { return n_; }

 private:
  template <class Archive>
  void serialize(Archive& ar) {
    ar(n_);
  }
  int n_ = 0;
};
struct not_default_constructible {
  explicit not_default_constructible(int) {}
  template <class Archive>
  void serialize(Archive&) {}
};

}  // namespace

namespace elsewhere {

struct by_function {
  int n;
};
template <class Archive>
void serialize(Archive& ar, by_function& x) {
  ar(x.n);
}
struct by_two_functions {
  int n;
};
template <class Archive>
void save(Archive& ar, const by_two_functions& x) {
  ar(x.n);
}
template <class Archive>
void load(Archive& ar, by_two_functions& x) {
  ar(x.n);
}
struct by_minimal_functions {
  int n;
};
template <class Archive>
int save_minimal(const Archive&, const by_minimal_functions& x) {
  return x.n;
}
template <class Archive>
void load_minimal(const Archive&, by_minimal_functions& x, const int& n) {
  x.n = n;
}
struct by_versioned_function {
  int n;
};
template <class Archive>
void serialize(Archive& ar, by_versioned_function& x, std::uint32_t) {
  ar(x.n);
}
struct in_namespace_cereal {
  int n;
};

}  // namespace elsewhere

namespace cereal {
template <class Archive>
void serialize(Archive& ar, elsewhere::in_namespace_cereal& x) {
  ar(x.n);
}
}  // namespace cereal

template <>
inline constexpr bool troupe::enable_archive<two_ways_but_chosen> = true;

namespace {

using troupe::in_process;

static_assert(all<int, bool, char, double, const long, char8_t, scoped, unscoped, std::byte, void>);
static_assert(all<std::string, std::wstring, std::u8string, std::filesystem::path>);
static_assert(all<std::vector<int>, std::vector<bool>, std::vector<with_serialize>, std::deque<int>,
                  std::list<int>, std::forward_list<int>, std::pmr::vector<int>>);
static_assert(
    all<std::map<int, std::vector<std::string>>, std::multimap<int, int>,
        std::unordered_map<int, int>, std::unordered_multimap<int, with_split>, std::set<int>,
        std::multiset<int>, std::unordered_set<std::string>, std::unordered_multiset<int>>);
static_assert(all<std::array<with_serialize, 3>, std::pair<int, scoped>, std::tuple<>,
                  std::tuple<int, std::string>, std::optional<int>, std::monostate,
                  std::variant<std::monostate, int, std::string>>);
static_assert(all<std::unique_ptr<with_serialize>, std::shared_ptr<int>,
                  std::shared_ptr<const with_serialize>, std::weak_ptr<int>>);
static_assert(all<std::complex<float>, std::chrono::milliseconds, std::chrono::duration<double>,
                  std::chrono::system_clock::time_point>);
static_assert(all<with_serialize, with_deduced_result, with_version, with_split, with_minimal,
                  with_minimal_text, by_direction, befriending, polymorphic, recursive,
                  std::unique_ptr<recursive>>);
static_assert(
    all<elsewhere::by_function, elsewhere::by_two_functions, elsewhere::by_minimal_functions,
        elsewhere::by_versioned_function, elsewhere::in_namespace_cereal>);
static_assert(all<two_ways_but_chosen, std::vector<two_ways_but_chosen>>);
static_assert(all<in_process<std::mutex>, in_process<int*>, const in_process<plain>,
                  std::vector<in_process<std::function<void()>>>>);

static_assert(none<plain, only_save, only_load, save_not_const, two_ways, minimal_of_a_struct,
                   private_without_friend, not_default_constructible>);
static_assert(none<int*, int&, const char*, int[3], void(), int plain::*, std::nullptr_t>);
static_assert(none<std::string_view, std::span<int>, std::initializer_list<int>,
                   std::reference_wrapper<int>>);
static_assert(none<std::function<void()>, std::thread, std::jthread, std::mutex, std::stop_token,
                   std::atomic<int>, std::future<int>, std::exception_ptr, std::any>);
static_assert(none<std::ofstream, std::stringstream, std::regex, std::cmatch, std::error_code,
                   std::filesystem::directory_entry, std::runtime_error>);
static_assert(none<std::allocator<int>, std::hash<int>, std::less<>, std::in_place_t,
                   std::nullopt_t, std::ratio<1>>);
static_assert(none<std::queue<int>, std::bitset<3>, std::valarray<int>>,
              "these are archivable once their cereal headers are included");
static_assert(none<std::vector<plain>, std::vector<std::vector<plain>>, std::deque<std::thread>,
                   std::map<int, plain>, std::map<int*, int>, std::set<int*>, std::pair<int, int*>,
                   std::tuple<int, plain>, std::optional<std::thread>, std::variant<int, plain>,
                   std::array<plain, 2>>);
static_assert(none<std::unique_ptr<plain>, std::unique_ptr<polymorphic>,
                   std::shared_ptr<polymorphic>, std::shared_ptr<void>, std::unique_ptr<int[]>,
                   std::shared_ptr<int[]>, std::unique_ptr<int, void (*)(int*)>>);

}  // namespace

TEST_CASE("a lambda and a local type without functions are not archivable") {
  struct local {
    int n;
  };
  const auto lambda = [] {};
  CHECK_FALSE(troupe::archivable<decltype(lambda)>);
  CHECK_FALSE(troupe::archivable<local>);
}

TEST_CASE("a type's name is what the compiler calls it") {
  constexpr auto name = troupe::detail::type_name<elsewhere::by_function>();
  CHECK(std::string(name.data, name.size) == "elsewhere::by_function");
}

TEST_CASE("an in_process value converts to what it holds and back") {
  in_process<std::string> text = std::string("kept");
  std::string& inside = text;
  inside += " here";
  const in_process<std::string>& same = text;
  CHECK(same->size() == 9);
  CHECK(*same == "kept here");
  CHECK(same.get() == "kept here");
  CHECK(in_process(3).get() == 3);
  CHECK(befriending().get() + private_without_friend().get() == 0);
}

TEST_CASE("an in_process holds what moves only and what does not move") {
  in_process<std::unique_ptr<int>> moved = std::make_unique<int>(4);
  std::unique_ptr<int> out = std::move(moved);
  CHECK(*out == 4);
  const in_process<std::mutex> lock{std::in_place};
  CHECK(&lock.get() == &*lock);
  static_assert(!std::is_default_constructible_v<in_process<not_default_constructible>>);
  static_assert(!std::is_copy_constructible_v<in_process<std::unique_ptr<int>>>);
}
