/// What ZeroMQ alone gives between two processes of this machine: the limit of what a cluster can.
#pragma once

#include <cstdint>
#include <memory>

namespace troupe::bench {

/// A process that answers 100-byte messages over a unix socket. Starts it by fork: before any
/// thread of the benchmark's own.
class raw_zeromq {
 public:
  raw_zeromq();
  ~raw_zeromq();
  /// Messages a second, one way, each sent by itself.
  double rate(std::uint64_t count);
  /// Microseconds there and back.
  double round_trip(int count);

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::bench
