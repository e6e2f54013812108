#include "net/failures.hpp"

#include "core/failure.hpp"

namespace troupe::net {

archived_failure to_message(const detail::failure& why) {
  core::failure_description told = core::describe(why);
  return {.type = told.error,
          .message = std::move(told.message),
          .thrown_type = std::move(told.info.type),
          .frames = std::move(told.info.frames),
          .node = std::move(told.info.node),
          .pid = told.info.pid,
          .code = told.code,
          .code_category = std::move(told.category),
          .told = std::move(told.info.message)};
}

detail::failure_ptr from_message(const archived_failure& from) {
  core::failure_description told;
  told.error = from.type;
  told.message = from.message;
  told.info.type = from.thrown_type;
  told.info.message = from.told;
  told.info.frames = from.frames;
  told.info.node = from.node;
  told.info.pid = from.pid;
  told.code = from.code;
  told.category = from.code_category;
  return core::rebuild(told);
}

}  // namespace troupe::net
