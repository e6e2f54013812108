// The program by which the cluster tests look at large objects: a driver, run again as its workers.
// `object_driver SCENARIO` prints what went wrong and ends with 1, or prints "ok".
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/programs/scenario.hpp"

using namespace std::chrono_literals;
using scenario::fetch;
using scenario::words;
using troupe::object_ref;
using troupe::put;
using troupe::remote;
using troupe::view;
using troupe::with;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

std::vector<float> numbers(std::size_t count, float first = 1) {
  std::vector<float> result(count);
  std::iota(result.begin(), result.end(), first);
  return result;
}

/// The inode of the store's memory that an address is mapped to; 0 when it is of anything else.
std::uint64_t store_of(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t inode = 0;
    char access[8] = {};
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %" SCNu64, &begin, &end,
                    access, &inode) != 4) {
      continue;
    }
    const auto at = reinterpret_cast<std::uint64_t>(address);
    if (at < begin || at >= end) continue;
    return line.find("troupe-store") != std::string::npos && access[1] == '-' ? inode : 0;
  }
  return 0;
}

// -- tasks ----------------------------------------------------------------------------------------

using place = std::pair<std::uint64_t, std::uint64_t>;  // inode, alignment

place where_span(std::span<const float> values) {
  return {store_of(values.data()), reinterpret_cast<std::uint64_t>(values.data()) % 64};
}
std::uint64_t where_view(object_ref<std::vector<float>> ref) { return store_of(view(ref)->data()); }
double sum(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
double sum_of_vector(const std::vector<float>& values) { return sum(values); }
double sum_of_own(std::vector<float> values) { return sum(values); }
std::vector<float> make(std::size_t count, float first) { return numbers(count, first); }
std::map<int, std::string> make_map(int n) {
  std::map<int, std::string> result;
  for (int i = 0; i < n; ++i) result[i] = std::string(100, static_cast<char>('a' + i % 26));
  return result;
}
std::size_t size_of_map(const std::map<int, std::string>& map) { return map.size(); }
object_ref<std::vector<float>> put_there(std::size_t count) { return put(numbers(count)); }
std::size_t elements(const std::vector<object_ref<std::vector<float>>>& refs) {
  std::size_t all = 0;
  for (const auto& ref : refs) all += view(ref)->size();
  return all;
}
troupe::generator<std::vector<float>> many(int n, std::size_t count) {
  for (int i = 0; i < n; ++i) co_yield numbers(count, static_cast<float>(i));
}
struct keeper {
  std::vector<float> double_it(std::span<const float> values) {
    std::vector<float> result(values.begin(), values.end());
    for (float& v : result) v *= 2;
    return result;
  }
  std::size_t hold(object_ref<std::vector<float>> ref) {
    held.push_back(view(ref));
    return held.back()->size();
  }
  int pid() { return ::getpid(); }
  std::vector<troupe::object_view<std::vector<float>>> held;
};

void in_place() {
  const auto ref = put(numbers(mib));
  const auto seen = view(ref);
  CHECK(seen->size() == mib);
  CHECK((*seen)[5] == 6);
  const std::uint64_t store = store_of(seen->data());
  CHECK(store != 0);
  const place there = fetch(remote<where_span>(ref));
  CHECK(there.first == store);
  CHECK(there.second == 0);
  CHECK(fetch(remote<where_view>(ref)) == store);
  const auto result = remote<make>(mib, 3);
  CHECK(store_of(view(result, 60s)->data()) == store);
  CHECK(view(result)->front() == 3);
  CHECK(fetch(remote<where_span>(result)).first == store);
}

void values() {
  const auto ref = put(numbers(mib / 4));
  const double expected = sum(numbers(mib / 4));
  CHECK(fetch(ref) == numbers(mib / 4));
  CHECK(fetch(remote<sum>(ref)) == expected);
  CHECK(fetch(remote<sum_of_vector>(ref)) == expected);
  CHECK(fetch(remote<sum_of_own>(ref)) == expected);
  CHECK(fetch(remote<sum>(numbers(mib / 4))) == expected);
  const auto map = remote<make_map>(5'000);
  CHECK(fetch(remote<size_of_map>(map)) == 5'000);
  CHECK(fetch(map) == make_map(5'000));
  CHECK(view(map)->at(27) == std::string(100, 'b'));
  CHECK(fetch(remote<size_of_map>(put(make_map(3'000)))) == 3'000);
  const auto lent = fetch(remote<put_there>(mib));
  CHECK(view(lent, 60s)->back() == static_cast<float>(mib));
  CHECK(fetch(remote<elements>(std::vector{ref, lent, ref})) == mib / 4 * 6);
  CHECK(fetch(lent.then([](const std::vector<float>& v) { return v.size(); })) == mib);
  int items = 0;
  for (const auto& item : remote<many>(20, mib / 8)) {
    const auto seen = view(item, 60s);
    CHECK(seen->size() == mib / 8);
    CHECK(seen->front() == static_cast<float>(items++));
  }
  CHECK(items == 20);
  const auto actor = remote<keeper>();
  const auto twice = actor.remote<&keeper::double_it>(ref);
  CHECK(view(twice, 60s)->at(1) == 4);
  CHECK(fetch(actor.remote<&keeper::hold>(twice)) == mib / 4);
  CHECK(fetch(put(std::string(mib, 'x'))).size() == mib);
}

/// Writes through a cast to what everybody reads.
int scribble(std::span<const float> values) {
  const_cast<float&>(values[0]) = 0;
  return 1;
}
void sealed() {
  const auto ref = put(numbers(mib));
  CHECK_THROWS_AS(fetch(with({.max_retries = 0}).remote<scribble>(ref)),
                  troupe::worker_crashed_error);
  CHECK(view(ref)->front() == 1);
}

// -- the end of processes -------------------------------------------------------------------------

/// Puts as fast as it can from several threads, and is killed in the middle of it.
int die_writing() {
  for (int i = 0; i < 3; ++i) {
    std::thread([] {
      const auto data = numbers(8 * mib);
      for (;;) put(data);
    }).detach();
  }
  std::this_thread::sleep_for(300ms);
  std::raise(SIGKILL);
  return 0;
}
int die_holding(object_ref<std::vector<float>> ref) {
  const auto seen = view(ref);
  std::raise(SIGKILL);
  return static_cast<int>(seen->size());
}
void deaths() {
  const auto ref = put(numbers(mib));
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_AS(fetch(with({.max_retries = 0}).remote<die_writing>()),
                    troupe::worker_crashed_error);
    CHECK_THROWS_AS(fetch(with({.max_retries = 0}).remote<die_holding>(ref)),
                    troupe::worker_crashed_error);
  }
  CHECK(*view(ref) == numbers(mib));
  CHECK(fetch(remote<sum>(ref)) == sum(numbers(mib)));
  // There is room for everything again.
  std::vector<object_ref<std::vector<float>>> all;
  for (int i = 0; i < 8; ++i) all.push_back(put(numbers(mib)));
  CHECK(fetch(remote<elements>(all)) == 8 * mib);
}

// -- values that come with their refs -------------------------------------------------------------

struct lent_values {
  object_ref<int> number;
  object_ref<std::string> text;
  object_ref<std::vector<float>> array;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number, text, array);
  }
};

struct lender {
  lent_values lend() { return {put(7), put(std::string("short")), put(numbers(mib))}; }
  int host() { return ::getpid(); }
};

/// What is short, and what lies in the node's store, need not be asked for: its owner may be busy.
void along() {
  const auto owner = with({.isolation = troupe::isolation::process}).remote<lender>();
  const int process = fetch(owner.remote<&lender::host>());
  const lent_values lent = fetch(owner.remote<&lender::lend>());
  ::kill(process, SIGSTOP);
  CHECK(fetch(lent.number) == 7);
  CHECK(fetch(lent.text) == "short");
  CHECK(view(lent.array)->size() == mib);
  ::kill(process, SIGCONT);
  // Lent on by who only borrows it.
  CHECK(fetch(remote<elements>(std::vector{lent.array})) == mib);
}

// -- a store that is too small --------------------------------------------------------------------

/// Far more than fits, all of it read again.
void spill() {
  std::vector<object_ref<std::vector<float>>> all;
  for (int i = 0; i < 24; ++i) all.push_back(put(numbers(mib / 16, static_cast<float>(i))));
  for (int i = 0; i < 12; ++i) all.push_back(remote<make>(mib / 16, static_cast<float>(24 + i)));
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      CHECK(view(all[i], 60s)->front() == static_cast<float>(i));
      CHECK(fetch(remote<sum>(all[i])) == sum(numbers(mib / 16, static_cast<float>(i))));
    }
  }
}

/// The store is full, and then the disk: a put says so, what there is stays, and when something
/// goes all is well again.
void full_disk() {
  constexpr std::size_t count = mib / 16;
  std::vector<object_ref<std::vector<float>>> all;
  std::string why;
  while (why.empty() && all.size() < 64) {
    try {
      all.push_back(put(numbers(count, static_cast<float>(all.size()))));
    } catch (const troupe::out_of_memory_error& e) {
      why = e.what();
    }
  }
  std::cout << all.size() << " values fit; then: " << why << '\n';
  CHECK(all.size() >= 4);
  CHECK(why.find("No space left on device") != std::string::npos);
  for (int i = 0; i < 2; ++i) all.pop_back();
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      CHECK(*view(all[i], 60s) == numbers(count, static_cast<float>(i)));
    }
  }
  all.resize(all.size() / 2);
  for (int i = 0; i < 4; ++i) CHECK(fetch(put(numbers(count))) == numbers(count));
}

void too_large() { CHECK_THROWS_AS(put(numbers(16 * mib)), troupe::out_of_memory_error); }

/// All memory is being read: a put waits for a view to go, and fails when none does.
void pinned() {
  const auto first = put(numbers(mib / 8));
  const auto second = put(numbers(mib / 16));
  auto a = std::make_unique<troupe::object_view<std::vector<float>>>(view(first));
  const auto b = view(second);
  try {
    put(numbers(mib / 8));
    CHECK(false);
  } catch (const troupe::out_of_memory_error& e) {
    CHECK(std::string(e.what()).find("being read") != std::string::npos);
  }
  std::thread later([&] {
    std::this_thread::sleep_for(200ms);
    a.reset();
  });
  const auto third = put(numbers(mib / 8, 7));
  later.join();
  CHECK(view(third)->front() == 7);
  CHECK(*b == numbers(mib / 16));
}

// -- several nodes --------------------------------------------------------------------------------

void nodes(const words& names) {
  const auto on = [](const std::string& name) {
    return with({.scheduling = troupe::scheduling::node_affinity(name)});
  };
  const auto ref = put(numbers(8 * mib));
  const double expected = sum(numbers(8 * mib));
  std::vector<object_ref<double>> sums;
  for (const std::string& name : names) {
    for (int i = 0; i < 3; ++i) sums.push_back(on(name).remote<sum>(ref));
  }
  for (const auto& one : sums) CHECK(fetch(one) == expected);
  // What a node made goes to another one without passing the driver, and back.
  const auto made = on(names.back()).remote<make>(4 * mib, 1);
  const auto summed = on(names.front()).remote<sum>(made);
  CHECK(fetch(summed) == sum(numbers(4 * mib)));
  CHECK(view(made, 60s)->size() == 4 * mib);
}

/// Whether each number of an array is the one that `numbers` makes.
bool as_made(std::span<const float> values, std::size_t count) {
  if (values.size() != count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (values[i] != static_cast<float>(i % 65'536)) return false;
  }
  return true;
}
std::vector<float> large(std::size_t count) {
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count; ++i) result[i] = static_cast<float>(i % 65'536);
  return result;
}

/// 64 MiB to another node, as often as is said, and as much back, looked at number by number.
void crossing(const words& arguments) {
  const auto there = [&] {
    return with({.scheduling = troupe::scheduling::node_affinity(arguments.at(0))});
  };
  for (int i = std::stoi(arguments.at(1)); i > 0; --i) {
    CHECK(fetch(there().remote<as_made>(put(large(16 * mib)), 16 * mib)));
    const auto made = there().remote<large>(16 * mib);
    const auto seen = view(made, 60s);
    CHECK(as_made({seen->data(), seen->size()}, 16 * mib));
  }
}

/// Says so, and waits until the test says go on.
void tell(const std::string& word, std::size_t number) {
  std::cout << word << ' ' << number << std::endl;
  std::string line;
  std::getline(std::cin, line);
}

/// The disk behind the store fills up while this runs, and has room again later.
void filling() {
  constexpr std::size_t count = mib / 16;
  std::vector<object_ref<std::vector<float>>> all;
  const auto add = [&] { all.push_back(put(numbers(count, static_cast<float>(all.size())))); };
  const auto all_right = [&] {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (*view(all[i], 60s) != numbers(count, static_cast<float>(i))) return false;
    }
    return true;
  };
  while (all.size() < 12) add();
  CHECK(all_right());
  tell("spilled", all.size());
  std::string why;
  while (why.empty() && all.size() < 64) {
    try {
      add();
    } catch (const troupe::out_of_memory_error& e) {
      why = e.what();
    }
  }
  const bool said = why.find("No space left on device") != std::string::npos;
  if (!said) std::cout << why << '\n';
  CHECK(said);
  // What lies on the disk needs memory to be read, and nothing in memory can go to the disk.
  for (int i = 0; i < 2; ++i) all.pop_back();
  CHECK(all_right());
  tell("full", all.size());
  for (int i = 0; i < 8; ++i) add();
  CHECK(all_right());
}

/// A node makes a value and dies while that is read elsewhere. `arguments`: its MiB, and whether it
/// can be made `again`.
void source_dies(const words& arguments) {
  const std::size_t count = std::stoul(arguments.at(0)) * mib / sizeof(float);
  const bool again = arguments.at(1) == "again";
  const auto made =
      with({.resources = {{"maker", 1}}, .max_retries = again ? 3 : 0}).remote<large>(count);
  CHECK(troupe::wait(std::vector{made}, {.timeout = 60s}).ready.size() == 1);
  tell("made", count);
  try {
    const auto seen = view(made, 120s);
    CHECK(as_made({seen->data(), seen->size()}, count));
    std::cout << "read ";
  } catch (const troupe::object_lost_error& e) {
    CHECK(!again);
    std::cout << "lost: " << e.what() << '\n';
  }
}

/// Outlives its node for long enough to find the store gone. Run again, it succeeds.
int put_behind_its_node(const std::string& begun) {
  if (std::ifstream(begun).good()) return 2;
  pollfd node{static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0)), POLLIN, 0};
  std::ofstream(begun) << "begun" << std::flush;
  CHECK(::poll(&node, 1, 60'000) == 1);  // until it has ended
  ::close(node.fd);
  put(numbers(mib));
  return 1;
}

/// What a worker meets while its node dies is no error of its task. `arguments`: a file to make,
/// and the node that dies.
void outlives(const words& arguments) {
  const auto there = troupe::scheduling::node_affinity(arguments.at(1), true);
  const auto ref =
      with({.max_retries = 1, .scheduling = there}).remote<put_behind_its_node>(arguments.at(0));
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!std::ifstream(arguments.at(0)).good()) {
    if (std::chrono::steady_clock::now() > until) return CHECK(false);
    std::this_thread::yield();
  }
  tell("running", 1);
  CHECK(fetch(ref) == 2);
}

std::string where_it_runs(std::span<const float>) { return troupe::node_name(); }
std::string where_both_run(std::span<const float>, std::span<const float>) {
  return troupe::node_name();
}

/// Tasks that may run anywhere go to the node where most bytes of their arguments lie. `names`:
/// this program's node, and another one.
void follow(const words& names) {
  const auto on = [](const std::string& name) {
    return with({.scheduling = troupe::scheduling::node_affinity(name)});
  };
  const std::string& own = names.front();
  const std::string& other = names.back();
  // The node hears of the other one a moment after it has joined.
  object_ref<std::vector<float>> far;
  for (bool known = false; !known;) {
    far = on(other).remote<make>(mib, 1);
    try {
      troupe::wait(std::vector{far}, {.timeout = 60s});
      known = !far.failed();
      if (!known) fetch(far);
    } catch (const troupe::placement_error&) {
      std::this_thread::yield();
    }
  }
  const auto here = put(numbers(mib / 2));
  CHECK(fetch(remote<where_it_runs>(far)) == other);
  CHECK(fetch(remote<where_it_runs>(here)) == own);
  CHECK(fetch(remote<where_both_run>(far, here)) == other);
  CHECK(fetch(on(own).remote<where_it_runs>(far)) == own);
  // What is small does not pay for the way.
  const auto small = on(other).remote<make>(64 << 10, 1);
  CHECK(fetch(remote<where_it_runs>(small)) == own);
}

// -------------------------------------------------------------------------------------------------

const std::map<std::string, std::function<void(const words&)>> scenarios{
    {"in_place", [](const words&) { in_place(); }},
    {"values", [](const words&) { values(); }},
    {"sealed", [](const words&) { sealed(); }},
    {"deaths", [](const words&) { deaths(); }},
    {"along", [](const words&) { along(); }},
    {"spill", [](const words&) { spill(); }},
    {"full_disk", [](const words&) { full_disk(); }},
    {"too_large", [](const words&) { too_large(); }},
    {"pinned", [](const words&) { pinned(); }},
    {"nodes", nodes},
    {"follow", follow},
    {"crossing", crossing},
    {"filling", [](const words&) { filling(); }},
    {"source_dies", source_dies},
    {"outlives", outlives},
};

}  // namespace

int main(int argc, char** argv) {
  // The kernel is not to be faster than what the worker finds by itself.
  if (argc > 1 && std::string(argv[1]) == "outlives") ::prctl(PR_SET_PDEATHSIG, 0);
  return scenario::run(argc, argv, scenarios);
}
