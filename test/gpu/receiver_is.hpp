/// Says for whom this process archives, as a cluster would.
#pragma once

#include <span>
#include <string_view>

#include <troupe/detail/archive_receiver.hpp>

#include "core/sharing.hpp"

namespace troupe::test {

/// While it lives.
class receiver_is final : public core::sharing {
 public:
  explicit receiver_is(detail::archive_receiver who) : who_(who) { core::set_sharing(this); }
  ~receiver_is() override { core::set_sharing(nullptr); }

 private:
  void save_ref(detail::output_archive&, const detail::object_ptr&,
                const detail::object_ops&) override {}
  detail::object_ptr load_ref(detail::input_archive&, const detail::object_ops&) override {
    return {};
  }
  void save_handle(detail::output_archive&, const detail::actor_core_ptr&) override {}
  detail::actor_core_ptr load_handle(detail::input_archive&, const detail::class_info&) override {
    return {};
  }
  void dropped(detail::remote_object&) noexcept override {}
  detail::stored_ptr store_value(std::span<const std::byte>,
                                 std::span<const std::span<const std::byte>>, std::string_view,
                                 bool) override {
    return nullptr;
  }
  void save_stored(detail::output_archive&, const detail::stored_value&) override {}
  detail::stored_ptr load_stored(detail::input_archive&, bool) override { return nullptr; }
  detail::archive_receiver receiver_of_archive() noexcept override { return who_; }
  void cancel(detail::remote_object&, bool) noexcept override {}

  detail::archive_receiver who_;
};

}  // namespace troupe::test
