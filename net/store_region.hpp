/// The shared memory of a node's store: made by the node, mapped by its drivers and workers.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>

#include "core/descriptor.hpp"

namespace troupe::net {

/// An anonymous file in memory and this process's mappings of it. The file cannot be resized, so no
/// process can take memory from under another. Thread-safe; the node decides who may touch what.
///
/// There are two mappings: what is read is mapped read-only, so that a reader that writes through a
/// cast ends itself and damages nobody.
class store_region {
 public:
  /// Makes one. Throws `connection_error` that says what is missing.
  explicit store_region(std::uint64_t bytes);
  /// Maps one that the node handed over. Throws `connection_error`.
  store_region(core::descriptor fd, std::uint64_t bytes);
  ~store_region();
  store_region(const store_region&) = delete;
  store_region& operator=(const store_region&) = delete;

  int fd() const noexcept { return fd_.get(); }
  std::uint64_t size() const noexcept { return bytes_; }
  /// Requires that the block lies inside.
  std::span<std::byte> writable(std::uint64_t offset, std::uint64_t size) const noexcept {
    return {write_ + offset, size};
  }
  std::span<const std::byte> readable(std::uint64_t offset, std::uint64_t size) const noexcept {
    return {read_ + offset, size};
  }
  /// Whether an address lies in the mapping for readers.
  bool contains(const void* address) const noexcept;

 private:
  void map();

  core::descriptor fd_;
  std::uint64_t bytes_ = 0;
  std::byte* write_ = nullptr;
  const std::byte* read_ = nullptr;
};

/// Has the kernel give pages to a region before they are written to: a first touch is some thirty
/// times as slow as a copy. One thread of the lowest priority; it sleeps until it is told to go on.
class prefaulter {
 public:
  explicit prefaulter(const store_region& region);
  ~prefaulter();
  /// Everything below `end` shall have pages.
  void reach(std::uint64_t end);

 private:
  void run(const std::stop_token& stop);

  const store_region& region_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t wanted_ = 0;  // guarded by mutex_
  std::jthread thread_;       // last: it uses the others
};

}  // namespace troupe::net
