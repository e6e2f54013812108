// Reads any bytes as values of many types. Input: one byte that chooses the type, one for the
// number of segments, two bytes for the size of each, the segments, and the rest as inline bytes.
#include <array>
#include <chrono>
#include <complex>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include <troupe/archive.hpp>

#include "test/fuzz/fuzz.hpp"

using namespace troupe;

namespace {

struct tree {
  std::string name;
  std::vector<tree> children;
  std::unique_ptr<tree> next;
  std::shared_ptr<tree> shared;
  std::weak_ptr<tree> parent;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(name, children, next, shared, parent);
  }
};

struct empty {
  template <class Archive>
  void serialize(Archive&) {}
};

struct versioned {
  std::int32_t a = 0;
  std::variant<int, std::string, std::vector<bool>, empty> b;
  template <class Archive>
  void serialize(Archive& archive, std::uint32_t version) {
    archive(a);
    if (version > 0) archive(b);
  }
};

struct other {
  double x = 0;
  std::shared_ptr<other> link;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(x, link);
  }
};

struct parts {
  std::vector<std::span<const std::byte>> segments;
  std::span<const std::byte> bytes;
  std::size_t size = 0;
};

template <class T>
void read(const parts& from) {
  try {
    // A node of a map or a hash table is dear for the one byte that it came as.
    const fuzz::memory_bound bound(512 * from.size + (std::size_t{64} << 10));
    const T value = detail::decode<T>(from.bytes, from.segments);
    const auto written = detail::encode(value);
    std::vector<std::span<const std::byte>> segments(written.segments.begin(),
                                                     written.segments.end());
    detail::decode<T>(written.inline_bytes, segments);
  } catch (const detail::archive_error&) {
    // Refused, as it should be.
  }
}

template <class T>
void view(const parts& from) {
  try {
    const fuzz::memory_bound bound(std::size_t{64} << 10);
    const std::span<const T> values = detail::view_array<T>(from.bytes, from.segments);
    fuzz::check(values.size_bytes() <= from.size, "a view is larger than its bytes");
    // Each element can be read.
    for (const T v : values) fuzz::check(v == v || v != v, "what is equal to nothing");
  } catch (const detail::archive_error&) {
    // Refused, as it should be.
  }
}

using reader = void (*)(const parts&);
constexpr reader readers[] = {
    &read<tree>,
    &read<versioned>,
    &read<std::vector<versioned>>,
    &read<std::vector<std::shared_ptr<other>>>,
    &read<std::pair<std::vector<std::shared_ptr<other>>, std::vector<std::shared_ptr<tree>>>>,
    &read<std::tuple<bool, char, std::int64_t, double, long double, std::complex<float>>>,
    &read<std::vector<std::vector<std::vector<int>>>>,
    &read<std::vector<empty>>,
    &read<std::vector<bool>>,
    &read<std::vector<double>>,
    &read<std::vector<std::string>>,
    &read<std::map<std::string, std::map<int, std::vector<std::u16string>>>>,
    &read<std::multimap<std::string, empty>>,
    &read<std::unordered_map<std::string, std::unordered_set<std::string>>>,
    &read<std::set<std::pair<int, std::optional<std::string>>>>,
    &read<std::list<std::deque<std::forward_list<std::int16_t>>>>,
    &read<std::array<std::optional<std::variant<std::string, std::vector<int>>>, 5>>,
    &read<std::variant<std::monostate, std::unique_ptr<std::string>, std::map<int, int>>>,
    &read<std::vector<std::chrono::nanoseconds>>,
    &read<std::vector<std::filesystem::path>>,
    &read<std::tuple<std::vector<float>, std::vector<std::uint8_t>, std::vector<float>>>,
    &view<float>,
    &view<std::uint8_t>,
    &view<std::int64_t>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const reader chosen = readers[in.number<std::uint8_t>() % std::size(readers)];
  parts from;
  const std::size_t segments = in.number<std::uint8_t>() % 4;
  for (std::size_t i = 0; i < segments; ++i) {
    from.segments.push_back(in.take(in.number<std::uint16_t>()));
    from.size += from.segments.back().size();
  }
  from.bytes = in.rest();
  from.size += from.bytes.size();
  chosen(from);
  return 0;
}
