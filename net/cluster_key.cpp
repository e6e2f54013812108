// Keys of CURVE in Z85: 32 bytes as 40 characters.
#include <zmq.h>

#include <array>

#include <troupe/error.hpp>

#include "net/endpoint.hpp"

namespace troupe::net {
namespace {
constexpr std::size_t key_characters = 40;
using key_buffer = std::array<char, key_characters + 1>;
}  // namespace

std::string make_cluster_key() {
  key_buffer open{};
  key_buffer secret{};
  if (zmq_curve_keypair(open.data(), secret.data()) != 0) {
    throw connection_error(
        "no cluster key could be made: this libzmq was built without encryption (CURVE)");
  }
  return secret.data();
}

std::string public_half(const std::string& cluster_key) {
  key_buffer open{};
  if (cluster_key.size() != key_characters ||
      zmq_curve_public(open.data(), cluster_key.c_str()) != 0) {
    throw connection_error("the cluster key is not one: it has " +
                           std::to_string(cluster_key.size()) +
                           " characters where a key has 40 of Z85; take the one that the head of "
                           "the cluster made");
  }
  return open.data();
}

}  // namespace troupe::net
