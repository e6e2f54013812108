/// Arrays from and to the host.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/gpu/array.hpp>
#include <troupe/gpu/device.hpp>
#include <troupe/gpu/host_vector.hpp>
#include <troupe/gpu/work.hpp>
#include <troupe/object_ref.hpp>
#include <troupe/task.hpp>

namespace troupe::gpu {

/// A copy on the current device. The source may change when this returns. It goes through pinned
/// memory in pieces, or directly when it is pinned (`host_vector`).
/// Throws `no_device_error`, `device_memory_error`, `device_error`.
template <class T>
array<T> to_device(std::span<const T> from) {
  array<T> to(from.size());
  detail::upload(to.memory(), from.data(), from.size_bytes());
  return to;
}
template <class T, class Allocator>
array<T> to_device(const std::vector<T, Allocator>& from) {
  return to_device(std::span<const T>(from));
}
/// The same when the object is there, on the device that is current now.
template <class T>
object_ref<array<T>> to_device(const object_ref<std::vector<T>>& from) {
  // The task that copies has no device of its own.
  return from.then([device = current_device()](const std::vector<T>& values) {
    const on_device current(device);
    return to_device(std::span<const T>(values));
  });
}

/// Copies into memory of the host, after what the device does with the array now. Blocks; a task
/// gives its CPU back meanwhile. Throws `std::invalid_argument` when the sizes differ,
/// `device_error`.
template <class T>
void copy_to_host(const array<T>& from, std::span<T> to) {
  if (from.size() != to.size()) {
    throw std::invalid_argument("gpu::copy_to_host: the array has " + std::to_string(from.size()) +
                                " elements, the host's memory is for " + std::to_string(to.size()));
  }
  detail::download(from.memory(), to.data(), to.size_bytes());
}
template <class T>
std::vector<T> to_host(const array<T>& from) {
  std::vector<T> to(from.size());
  copy_to_host(from, std::span<T>(to));
  return to;
}
/// The same when the object is there: a task without CPUs copies.
template <class T>
object_ref<std::vector<T>> to_host(const object_ref<array<T>>& from) {
  return from.then([](const array<T>& values) { return to_host(values); });
}

}  // namespace troupe::gpu
