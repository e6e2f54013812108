// What large objects cost, each beside what limits it: memory, a socket's round trip, ZeroMQ alone.
// The amount is 1 GiB; `--bulk-mib` makes it smaller on small machines.
#include <sys/mman.h>
#include <unistd.h>
#include <zmq.h>

#include <cstring>
#include <numeric>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

#include "net/bulk_sink.hpp"
#include "net/bulk_source.hpp"
#include "test/bench/bench.hpp"
#include "test/bench/nodes.hpp"
#include "test/bench/raw_zeromq.hpp"

namespace troupe::bench {

// Not in a nameless namespace: they are called by name in the workers.
inline double view_microseconds(const object_ref<std::vector<float>>& ref) {
  return seconds([&] { keep(view(ref)->front()); }) * 1e6;
}
inline double get_microseconds(const object_ref<std::vector<int>>& ref) {
  return seconds([&] { keep(get(ref)); }) * 1e6;
}
inline double first_of(std::span<const float> values) { return values[0]; }

namespace {

/// What runs on that node.
auto on(int node) {
  return with({.scheduling = scheduling::node_affinity("n" + std::to_string(node))});
}

/// Nodes with a store each, and this program as their driver.
class store_cluster {
 public:
  /// How the nodes reach each other: as those of one machine, or by TCP as those of several.
  enum class joined : std::uint8_t { by_machine, by_network, by_network_without_data_port };

  explicit store_cluster(int count, joined how = joined::by_machine) {
    std::string options =
        " --object-store-memory " + std::to_string(bulk_bytes() * 2 + (std::size_t{64} << 20));
    if (how == joined::by_network_without_data_port) options += " --bulk-port none";
    nodes::command("start --head --port 0 --num-cpus 2 --node-name n0" + options);
    const std::string head = nodes::head_address();
    for (int i = 1; i < count; ++i) {
      const std::string start = "start --address " + head + " --host 127.0.0.1 --num-cpus 1" +
                                " --node-name n" + std::to_string(i) + options;
      how == joined::by_machine ? nodes::command(start) : nodes::command_elsewhere(start);
    }
    // The head is where the driver is at home, and where values are made.
    nodes_.connect(head);
    const auto warm = put(std::vector<float>(std::size_t{16} << 20));
    for (int i = 0; i < count; ++i) get(on(i).remote<&first_of>(warm));
  }

 private:
  nodes nodes_;
};

/// Shared memory that has its pages.
class touched_memory {
 public:
  explicit touched_memory(std::size_t bytes) : bytes_(bytes) {
    const int fd = ::memfd_create("bench", MFD_CLOEXEC);
    if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
      throw std::runtime_error("no shared memory");
    }
    at_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (at_ == MAP_FAILED) throw std::runtime_error("no shared memory");
    std::memset(at_, 1, bytes);
  }
  ~touched_memory() { ::munmap(at_, bytes_); }
  touched_memory(const touched_memory&) = delete;
  touched_memory& operator=(const touched_memory&) = delete;
  void* at() const { return at_; }

 private:
  std::size_t bytes_;
  void* at_;
};

double gigabytes(std::size_t bytes, double time) { return static_cast<double>(bytes) / 1e9 / time; }

std::vector<float> bulk() { return std::vector<float>(bulk_bytes() / sizeof(float), 1.0F); }

/// Bytes a second that ZeroMQ alone moves over loopback TCP, in messages of 4 MiB that are not
/// copied.
class raw_stream {
 public:
  enum class security : std::uint8_t { curve, none };

  explicit raw_stream(security how) {
    from_ = ::zmq_ctx_new();
    to_ = ::zmq_ctx_new();
    pull_ = ::zmq_socket(to_, ZMQ_PULL);
    push_ = ::zmq_socket(from_, ZMQ_PUSH);
    const int few = 8;
    const int none = 0;
    for (void* const socket : {pull_, push_}) {
      ::zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
      ::zmq_setsockopt(socket, ZMQ_SNDHWM, &few, sizeof few);
      ::zmq_setsockopt(socket, ZMQ_RCVHWM, &few, sizeof few);
    }
    if (how == security::curve) encrypt();
    ::zmq_bind(pull_, "tcp://127.0.0.1:*");
    char address[256];
    std::size_t size = sizeof address;
    ::zmq_getsockopt(pull_, ZMQ_LAST_ENDPOINT, address, &size);
    ::zmq_connect(push_, address);
    run(data_.size());  // the handshake is over
  }
  ~raw_stream() {
    ::zmq_close(push_);
    ::zmq_close(pull_);
    ::zmq_ctx_term(from_);
    ::zmq_ctx_term(to_);
  }
  raw_stream(const raw_stream&) = delete;
  raw_stream& operator=(const raw_stream&) = delete;

  double run(std::size_t bytes) {
    return gigabytes(bytes, seconds([&] {
                       std::jthread sender([&] {
                         for (std::size_t sent = 0; sent < bytes; sent += data_.size()) {
                           zmq_msg_t message;
                           ::zmq_msg_init_data(
                               &message, data_.data(), data_.size(), [](void*, void*) {}, nullptr);
                           ::zmq_msg_send(&message, push_, 0);
                         }
                       });
                       for (std::size_t got = 0; got < bytes; got += data_.size()) {
                         zmq_msg_t message;
                         ::zmq_msg_init(&message);
                         ::zmq_msg_recv(&message, pull_, 0);
                         ::zmq_msg_close(&message);
                       }
                     }));
  }

 private:
  void encrypt() {
    char server_public[41];
    char server_secret[41];
    char client_public[41];
    char client_secret[41];
    ::zmq_curve_keypair(server_public, server_secret);
    ::zmq_curve_keypair(client_public, client_secret);
    const int one = 1;
    ::zmq_setsockopt(pull_, ZMQ_CURVE_SERVER, &one, sizeof one);
    ::zmq_setsockopt(pull_, ZMQ_CURVE_SECRETKEY, server_secret, 40);
    ::zmq_setsockopt(push_, ZMQ_CURVE_SERVERKEY, server_public, 40);
    ::zmq_setsockopt(push_, ZMQ_CURVE_PUBLICKEY, client_public, 40);
    ::zmq_setsockopt(push_, ZMQ_CURVE_SECRETKEY, client_secret, 40);
  }

  std::vector<char> data_ = std::vector<char>(std::size_t{4} << 20, 'x');
  void* from_;
  void* to_;
  void* pull_;
  void* push_;
};

/// The same by a data connection between two nodes' parts in this process: what is left of
/// `transfer_1gib` without the nodes around it.
class data_stream {
 public:
  data_stream() {
    const auto offer = source_.offer_to(1).value();
    channel_ = offer.channel;
    sink_.connect(offer.channel, {"127.0.0.1", std::to_string(source_.port())}, offer.key);
    signal_.acquire();
  }

  double run(std::size_t bytes) {
    return gigabytes(bytes, seconds([&] {
                       const std::size_t count = bytes / chunk;
                       for (std::size_t i = 0; i < count + window; ++i) {
                         if (i >= window) signal_.acquire();
                         if (i < count) ask(i % window);
                       }
                     }));
  }

 private:
  static constexpr std::size_t chunk = std::size_t{4} << 20;
  static constexpr std::size_t window = 6;

  void ask(std::size_t place) {
    const std::uint64_t request = ++last_request_;
    const std::size_t offset = place * chunk;
    sink_.expect(channel_, {.request = request,
                            .id = {1, 1},
                            .offset = offset,
                            .memory = std::span(got_).subspan(offset, chunk)});
    source_.send(1,
                 {.what = net::bulk_frame::kind::chunk,
                  .channel = channel_,
                  .request = request,
                  .value = {1, 1},
                  .offset = offset,
                  .size = chunk,
                  .total = made_->size()},
                 std::span(*made_).subspan(offset, chunk), made_);
  }

  std::counting_semaphore<> signal_{0};
  std::shared_ptr<std::vector<std::byte>> made_ =
      std::make_shared<std::vector<std::byte>>(chunk * window, std::byte{1});
  std::vector<std::byte> got_ = std::vector<std::byte>(chunk * window);
  std::uint64_t channel_ = 0;
  std::uint64_t last_request_ = 0;
  net::bulk_source source_{"127.0.0.1", 0};
  net::bulk_sink sink_{{.opened = [this](std::uint64_t) { signal_.release(); },
                        .arrived = [this](std::uint64_t) { signal_.release(); },
                        .lost = [](std::uint64_t, const std::string&) {}}};
};

const registered stream("data_stream", [] {
  raw_stream curve(raw_stream::security::curve);
  raw_stream plain(raw_stream::security::none);
  data_stream data;
  const auto of = alternate(
      5, [&] { return data.run(bulk_bytes()); }, [&] { return curve.run(bulk_bytes()); });
  const auto beside = alternate(
      5, [&] { return data.run(bulk_bytes()); }, [&] { return plain.run(bulk_bytes()); });
  return std::vector<figure>{{.name = "data_stream",
                              .value = of.value,
                              .unit = "GB/s",
                              .peer = "raw ZeroMQ with CURVE",
                              .peer_value = of.peer,
                              .note = "a data connection over loopback, in one process"},
                             {.name = "data_stream_plain",
                              .value = beside.value,
                              .unit = "GB/s",
                              .peer = "raw ZeroMQ without encryption",
                              .peer_value = beside.peer,
                              .note = "the same"}};
});

const registered put_bulk("put_1gib", [] {
  const store_cluster here(1);
  const std::vector<float> data = bulk();
  const touched_memory memory(bulk_bytes());
  const auto of = alternate(
      5, [&] { return gigabytes(bulk_bytes(), seconds([&] { keep(put(data)); })); },
      [&] {
        return gigabytes(bulk_bytes(),
                         seconds([&] { std::memcpy(memory.at(), data.data(), bulk_bytes()); }));
      });
  return std::vector<figure>{{.name = "put_1gib",
                              .value = of.value,
                              .unit = "GB/s",
                              .peer = "memcpy into touched shared memory",
                              .peer_value = of.peer}};
});

const registered put_some("put_small", [] {
  const store_cluster here(1);
  constexpr int count = 200'000;
  const std::vector<int> data(256, 1);
  const auto of = alternate(
      5,
      [&] {
        return count / seconds([&] {
                 for (int i = 0; i < count; ++i) keep(put(data));
               });
      },
      [&] {
        return count / seconds([&] {
                 for (int i = 0; i < count; ++i) keep(std::make_shared<std::vector<int>>(data));
               });
      });
  constexpr int stored = 2'000;
  const std::vector<int> larger(40'000, 1);  // 160 kB: by the store
  std::vector<double> rates;
  for (int i = 0; i < 5; ++i) {
    rates.push_back(stored / seconds([&] {
                      for (int k = 0; k < stored; ++k) keep(put(larger));
                    }));
  }
  return std::vector<figure>{{.name = "put_small",
                              .value = of.value,
                              .unit = "1/s",
                              .peer = "make_shared of the same vector",
                              .peer_value = of.peer,
                              .note = "1 KiB"},
                             {.name = "put_160kb",
                              .value = median(std::move(rates)),
                              .unit = "1/s",
                              .note = "by the store"}};
});

const registered get_bulk("get_1gib", [] {
  const store_cluster here(1);
  raw_zeromq raw;
  const auto of = alternate(
      7,
      [&] {
        const auto ref = put(bulk());
        return get(on(0).remote<&view_microseconds>(std::move(ref)));
      },
      [&] { return raw.round_trip(1'000); });
  return std::vector<figure>{{.name = "get_1gib",
                              .value = of.value,
                              .unit = "us",
                              .higher_is_better = false,
                              .peer = "raw ZeroMQ round trip, 100 B",
                              .peer_value = of.peer,
                              .note = "a first view in another process of the node"}};
});

const registered get_some("get_small", [] {
  const store_cluster here(1);
  raw_zeromq raw;
  const auto of = alternate(
      21,
      [&] {
        const auto ref = put(std::vector<int>(256, 1));
        return get(on(0).remote<&get_microseconds>(ref));
      },
      [&] { return raw.round_trip(200); });
  return std::vector<figure>{{.name = "get_small",
                              .value = of.value,
                              .unit = "us",
                              .higher_is_better = false,
                              .peer = "raw ZeroMQ round trip, 100 B",
                              .peer_value = of.peer,
                              .note = "a first get in another process: it came with its ref"}};
});

/// A value made on the head is read on the others.
double spread(int nodes) {
  const auto ref = put(bulk());
  return seconds([&] {
    std::vector<object_ref<double>> read;
    for (int i = 1; i < nodes; ++i) read.push_back(on(i).remote<&first_of>(ref));
    for (const auto& one : read) keep(get(one));
  });
}

/// The ways of a value to `nodes - 1` others, each beside ZeroMQ alone; all take turns.
std::vector<figure> measure_spread(const std::string& name, int nodes, const std::string& note) {
  using joined = store_cluster::joined;
  raw_stream curve(raw_stream::security::curve);
  raw_stream plain(raw_stream::security::none);
  const std::size_t moved = bulk_bytes() * static_cast<std::size_t>(nodes - 1);
  struct way {
    const char* suffix;
    joined how;
    const char* what;
    std::vector<double> rates{};
  };
  std::vector<way> ways{{"", joined::by_network, "by TCP, encrypted"},
                        {"_link", joined::by_network_without_data_port, "by TCP, --bulk-port=none"},
                        {"_machine", joined::by_machine, "nodes of one machine"}};
  std::vector<double> with_curve;
  std::vector<double> without;
  for (way& one : ways) {
    const store_cluster here(nodes, one.how);
    spread(nodes);  // memory has its pages from here on
    for (int i = 0; i < 5; ++i) {
      one.rates.push_back(gigabytes(moved, spread(nodes)));
      with_curve.push_back(curve.run(bulk_bytes()));
      without.push_back(plain.run(bulk_bytes()));
    }
  }
  const double curve_rate = median(with_curve);
  const double plain_rate = median(without);
  std::vector<figure> figures;
  for (way& one : ways) {
    const double rate = median(one.rates);
    figures.push_back({.name = name + one.suffix,
                       .value = rate,
                       .unit = "GB/s",
                       .peer = "raw ZeroMQ with CURVE, one pair",
                       .peer_value = curve_rate,
                       .note = one.what + note});
    if (one.how != joined::by_network) continue;
    figures.push_back({.name = name + "_plain",
                       .value = rate,
                       .unit = "GB/s",
                       .peer = "raw ZeroMQ without encryption, one pair",
                       .peer_value = plain_rate,
                       .note = "the same"});
  }
  return figures;
}

const registered transfer("transfer_1gib", [] { return measure_spread("transfer_1gib", 2, ""); });

const registered broadcast("broadcast_1gib", [] {
  return measure_spread("broadcast_1gib", 4, "; to 3 nodes, the sum of what they got");
});

}  // namespace
}  // namespace troupe::bench
