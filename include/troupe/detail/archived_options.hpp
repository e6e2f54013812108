/// Options of an actor in a form that crosses processes.
#pragma once

#include <memory>

#include <troupe/detail/export.hpp>
#include <troupe/detail/stored_options.hpp>

namespace troupe::detail {

class input_archive;
class output_archive;

TROUPE_API void save_options(output_archive& archive, const options& given);
/// Throws `archive_error`, and `std::invalid_argument` as `stored_options::make`.
TROUPE_API std::shared_ptr<const stored_options> load_options(input_archive& archive);

/// A value; empty only before it is read.
class archived_options {
 public:
  archived_options() = default;
  explicit archived_options(const options& from) : stored_(stored_options::make(from)) {}
  const std::shared_ptr<const stored_options>& stored() const noexcept { return stored_; }

  template <class Archive>
  void save(Archive& archive) const {
    save_options(archive, stored_->get());
  }
  template <class Archive>
  void load(Archive& archive) {
    stored_ = load_options(archive);
  }

 private:
  std::shared_ptr<const stored_options> stored_;
};

}  // namespace troupe::detail
