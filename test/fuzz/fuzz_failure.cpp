// Makes an exception of any description of a failure, and describes it again.
#include <exception>
#include <string>

#include <troupe/archive.hpp>
#include <troupe/error.hpp>

#include "net/failures.hpp"
#include "net/pack.hpp"
#include "test/fuzz/fuzz.hpp"

using namespace troupe;
using namespace troupe::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::input in(data, size);
  archived_failure told;
  try {
    told = detail::decode<archived_failure>(in.rest());
  } catch (const detail::archive_error&) {
    return 0;
  }
  const detail::failure_ptr failure = from_message(told);
  fuzz::check(failure && failure->thrown, "a failure without an exception");
  try {
    std::rethrow_exception(failure->thrown);
  } catch (const std::exception& e) {
    fuzz::check(e.what() != nullptr, "an exception without a text");
    if (const auto* const task = dynamic_cast<const task_error*>(&e)) {
      fuzz::check(!task->frames().empty(), "an error of a task that names none");
    }
  }
  // Where it goes next it is the same.
  const archived_failure again = to_message(*failure);
  const archived_failure further = to_message(*from_message(again));
  fuzz::check(again.type == further.type && again.message == further.message &&
                  again.frames == further.frames && again.told == further.told,
              "a failure changes on its way");
  return 0;
}
