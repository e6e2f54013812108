// Reads any bytes as each message. Input: one byte that chooses the message, then its body.
#include <exception>
#include <set>

#include <troupe/archive.hpp>

#include "net/demand.hpp"
#include "net/messages.hpp"
#include "net/pack.hpp"
#include "net/worker_environment.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using namespace troupe::net;

namespace {

/// The same value gives the same bytes, and they are read as the same value.
template <class T>
void round_trip(T value) {
  const auto once = detail::encode(std::move(value)).inline_bytes;
  const auto twice = detail::encode(detail::decode<T>(once)).inline_bytes;
  fuzz::check(once == twice, "what was read is not written as it was");
}

void use(const demand& amounts) {
  std::string why;
  if (const auto set = to_resources(amounts, why)) {
    fuzz::check(to_resources(to_demand(*set), why) == set, "a demand changes on its way");
  } else {
    fuzz::check(!why.empty(), "a demand is refused without a reason");
  }
}

// What is done first with what came.
template <class T>
void use(const T&) {}
void use(const request_lease& m) { use(m.wanted); }
void use(const join_cluster& m) { use(m.total); }
void use(const node_report& m) {
  use(m.available);
  for (const auto& [amounts, count] : m.waiting) use(amounts);
}
void use(const register_process& m) {
  start_worker start;
  start.program = std::make_shared<const register_process>(m);
  make_worker_program(start, {});
}

template <class T>
void read(std::span<const std::byte> body) {
  try {
    const fuzz::memory_bound bound(64 * body.size() + (std::size_t{64} << 10));
    T value = detail::decode<T>(body);
    use(value);
    round_trip(std::move(value));
  } catch (const detail::archive_error&) {
    // Refused, as it should be.
  }
}

using reader = void (*)(std::span<const std::byte>);
// All structs of net/ that name their kind; CMakeLists.txt lists them.
constexpr reader readers[] = {&read<peer>,
#define TROUPE_MESSAGE(name) &read<name>,
#include "fuzz_messages.inc"
#undef TROUPE_MESSAGE
                              nullptr};
constexpr std::size_t count = std::size(readers) - 1;
static_assert(count > 40, "the messages were found");

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  readers[in.number<std::uint8_t>() % count](in.rest());
  return 0;
}
