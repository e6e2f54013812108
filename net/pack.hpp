/// Structs of net/messages.hpp into messages and back.
#pragma once

#include <utility>

#include <troupe/archive.hpp>

#include "net/messages.hpp"
#include "net/wire.hpp"

namespace troupe::net {

/// The message that carries `what` and no attachments.
template <class T>
message pack(T what) {
  message result;
  result.kind = static_cast<std::uint16_t>(T::what);
  // As an rvalue it is written into one buffer: no part of it is referred to.
  result.body = detail::encode(std::move(what)).inline_bytes;
  return result;
}

/// The struct of a message of that kind. Throws `archive_error` when the bytes do not hold one.
template <class T>
T unpack(const message& from) {
  return detail::decode<T>(from.body);
}

}  // namespace troupe::net
