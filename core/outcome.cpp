// How the exceptions in a batch's results cross a process.
#include <troupe/batching.hpp>

#include <string>
#include <utility>
#include <vector>

#include <troupe/archive.hpp>

#include "core/failure.hpp"

namespace troupe::detail {

void save_exception(output_archive& archive, const std::exception_ptr& thrown) {
  failure_ptr why;
  try {
    std::rethrow_exception(thrown);
  } catch (...) {
    why = core::capture_failure("a call in a batch");
  }
  const core::failure_description told = core::describe(*why);
  archive(told.error, told.message, told.info.type, told.info.message, told.info.frames,
          told.info.node, told.info.pid, told.code, told.category);
}

std::exception_ptr load_exception(input_archive& archive) {
  core::failure_description told;
  archive(told.error, told.message, told.info.type, told.info.message, told.info.frames,
          told.info.node, told.info.pid, told.code, told.category);
  return core::rebuild(told)->thrown;
}

}  // namespace troupe::detail
