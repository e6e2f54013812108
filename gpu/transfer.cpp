// How arrays cross a process: as a loan to one of this machine, as their content elsewhere.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <troupe/archive.hpp>
#include <troupe/detail/archive_receiver.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/gpu/memory.hpp>
#include <troupe/log.hpp>

#include "gpu/engine.hpp"

namespace troupe::gpu::detail {
namespace {

using troupe::detail::archive_receiver;
using troupe::detail::input_archive;
using troupe::detail::output_archive;

constexpr std::uint8_t content_follows = 0;
constexpr std::uint8_t loan_follows = 1;
constexpr std::size_t longest_text = 200;

void put_text(output_archive& archive, const std::string& text) {
  archive.put_count(text.size());
  archive.put(text.data(), text.size());
}
std::string get_text(input_archive& archive, troupe::detail::name_view type) {
  const std::size_t size = archive.get_count(type);
  if (size > longest_text) archive.fail(type, "a name in it is too long");
  std::string text(size, '\0');
  archive.get(text.data(), size, type);
  return text;
}

/// A loan for the process that is written to; nothing when the device cannot share.
std::optional<loan> loan_of(const memory_ptr& what) {
  if (const borrowed* const from = what->loan()) return from->pass_on();
  engine& here = what->of;
  try {
    if (!here.under().can_share(what->device())) return std::nullopt;
    here.wait_for_writers(*what);
    loan made;
    made.number = here.lends().lend(what);
    made.lender = here.lends().name();
    made.uuid = here.info_of(what->device()).uuid;
    made.bytes = what->bytes;
    return made;
  } catch (const std::system_error& error) {
    log::warn("device memory is not shared, its content is sent: ", error.what());
    return std::nullopt;
  }
}

}  // namespace

void save(output_archive& archive, const memory_ptr& what, std::size_t count,
          std::size_t element_size) {
  const archive_receiver receiver = troupe::detail::receiver_of_archive();
  if (receiver == archive_receiver::unknown) {
    // So what is put stays on its device, until somebody elsewhere wants it.
    archive.fail(troupe::detail::name_view{"troupe::gpu::array", 18},
                 "a device array is archived only to be sent to another process");
  }
  const std::size_t bytes = count * element_size;
  if (receiver == archive_receiver::same_machine && bytes != 0) {
    if (const auto lent = loan_of(what)) {
      archive.note_personal();
      archive.put_value(loan_follows);
      archive.put_count(count);
      archive.put_value(lent->number);
      archive.put_value(lent->bytes);
      put_text(archive, lent->lender);
      put_text(archive, lent->uuid);
      return;
    }
  }
  archive.put_value(content_follows);
  archive.put_count(count);
  if (bytes == 0) return;
  const auto staged = std::make_unique<std::byte[]>(bytes);
  download(what, staged.get(), bytes);
  archive.put_array(staged.get(), bytes, false);
}

loaded load(input_archive& archive, std::size_t element_size, troupe::detail::name_view type) {
  const auto form = archive.get_value<std::uint8_t>(type);
  if (form == loan_follows) {
    const auto count = archive.get_value<std::uint64_t>(type);
    loan lent;
    lent.number = archive.get_value<loan_id>(type);
    lent.bytes = archive.get_value<std::uint64_t>(type);
    lent.lender = get_text(archive, type);
    lent.uuid = get_text(archive, type);
    if (lent.bytes / element_size != count || lent.bytes % element_size != 0) {
      archive.fail(type, "its size is not that of its elements");
    }
    if (lender& own = engine::process().lends(); own.lends_as(lent.lender)) {
      if (memory_ptr itself = own.redeem(lent.number)) return {std::move(itself), count};
    }
    return {std::make_shared<memory>(engine::process(),
                                     std::make_unique<const borrowed>(std::move(lent))),
            count};
  }
  if (form != content_follows) archive.fail(type, "it begins with an unknown mark");
  const std::size_t count = archive.get_array_count(element_size, type);
  const std::size_t bytes = count * element_size;
  if (bytes == 0) return {nullptr, count};
  const std::span<const std::byte> content = archive.get_array(bytes, type);
  memory_ptr made = allocate(bytes);
  upload(made, content.data(), bytes);
  return {std::move(made), count};
}

void engine::wait_for_writers(memory& what) {
  lane& on = lane_on(what.device());
  const device_scope current(*this, what.device());
  event_handle done = nullptr;
  in_order(on, [&] {
    use(on, what, false);
    done = driver_.make_event();
    driver_.record(done, on.stream);
  });
  wait_for(done);
  driver_.free_event(done);
}

bool engine::open_by_reference(memory& what) {
  const loan& lent = what.loan_->what();
  int device = 0;
  while (device < count_ && info_of(device).uuid != lent.uuid) ++device;
  if (device == count_ || !driver_.can_share(device)) return false;
  lender_link& link = what.loan_->lender();
  const std::lock_guard guard(link.pools_mutex);
  auto& pool = link.pools[lent.uuid];
  core::descriptor came;
  const wire::answer said = link.ask(wire::verb::open, lent.number, pool == nullptr, &came);
  if (said.ok == 0 || said.bytes != lent.bytes || (!pool && !came)) return false;
  try {
    const device_scope current(*this, device);
    if (!pool) {
      pool.reset(driver_.import_pool(came.get()),
                 [under = &driver_](pool_handle gone) { under->free_pool(gone); });
    }
    what.address_ = driver_.import_pointer(pool.get(), said.pointer);
    what.device_ = device;
    return true;
  } catch (const device_error& error) {
    log::warn("device memory of another process cannot be opened, it is copied: ", error.what());
    return false;
  }
}

void engine::open(memory& what) {
  if (count_ == 0) {
    throw no_device_error("an array that another process has made cannot be used here: " +
                          why_none_);
  }
  if (open_by_reference(what)) return;
  std::vector<std::byte> content(what.bytes);
  what.loan_->lender().fetch(what.loan_->what().number, content);
  const memory_ptr copy = allocate(what.bytes);
  upload(*copy, content.data(), content.size());
  what.address_ = std::exchange(copy->address_, nullptr);
  what.device_ = copy->device_;
  what.counted_for = std::exchange(copy->counted_for, std::nullopt);
  what.marks = std::move(copy->marks);
  what.copied_.store(true, std::memory_order_release);
}

}  // namespace troupe::gpu::detail
