/// How a task can be run again whose result is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <troupe/archive.hpp>
#include <troupe/detail/actor_api.hpp>
#include <troupe/detail/invocation.hpp>
#include <troupe/detail/stored_options.hpp>

#include "net/value_origin.hpp"

namespace troupe::net {

/// While it lives, this thread completes that task with a value that another process made.
class completion_scope {
 public:
  explicit completion_scope(detail::task& of) noexcept : outer_(current) { current = &of; }
  ~completion_scope() { current = outer_; }
  completion_scope(const completion_scope&) = delete;
  completion_scope& operator=(const completion_scope&) = delete;

  static inline thread_local detail::task* current = nullptr;

 private:
  detail::task* const outer_;
};

/// A task's function, options and archived arguments. Immutable.
///
/// Values in a store are not kept by it, only where they came from: a lost one is made again in its
/// turn. Refs to anything else, and handles of actors, are kept.
class lineage {
 public:
  /// Of a task that keeps its arguments. Throws what archiving them throws.
  explicit lineage(const detail::task& of);
  ~lineage();
  lineage(const lineage&) = delete;
  lineage& operator=(const lineage&) = delete;

  /// The memory that it takes.
  std::uint64_t bytes() const noexcept { return size_; }
  std::string_view name() const noexcept { return name_; }

 private:
  friend class repeated_task;
  class recorder;
  struct value {  ///< an argument that is the value of an object
    std::shared_ptr<value_origin> origin;
  };
  struct ref_to_value {
    std::shared_ptr<value_origin> origin;
    const detail::object_ops* ops = nullptr;
  };
  struct ref {
    detail::object_ptr object;
    const detail::object_ops* ops = nullptr;
  };
  struct part {
    std::size_t position = 0;  ///< among the bytes
    std::variant<value, ref_to_value, ref, detail::actor_core_ptr> what;
  };

  const detail::function_info* info_;
  std::uint64_t function_;
  detail::options_ptr options_;
  std::string name_;
  std::vector<std::byte> bytes_;
  std::vector<std::vector<std::byte>> segments_;
  std::vector<part> parts_;
  std::uint64_t size_ = 0;
};

/// Another attempt of a task that has ended. Its result is `place()` once it is ready.
class repeated_task final : public detail::task {
 public:
  /// Born with a ref for the caller.
  repeated_task(std::shared_ptr<const lineage> how, value_store& in, std::int32_t attempt);

  /// Runs it where its options allow. Throws what `task::submit` throws.
  void begin() { submit(how_->options_); }
  const value_origin::place& place() const noexcept { return place_; }

  std::uint64_t remote_key() const noexcept override { return how_->function_; }
  void archive_arguments(detail::output_archive& out) const override;
  void complete_from(detail::input_archive& in) noexcept override;

 private:
  outcome run(void* instance) override;
  void drop_arguments() noexcept override;

  const std::shared_ptr<const lineage> how_;
  value_store& in_;
  std::vector<detail::stored_ptr> values_;   ///< the handles that it needs, in the order of parts
  std::vector<detail::object_ptr> objects_;  ///< likewise, for refs
  value_origin::place place_;
};

}  // namespace troupe::net
