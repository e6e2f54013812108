#include "net/transfer.hpp"

#include "net/failures.hpp"

namespace troupe::net {

std::shared_ptr<const void> keep(const detail::object_ptr& object) {
  return std::make_shared<detail::object_ptr>(object);
}

outcome failed_outcome(const detail::failure& why) {
  outcome result;
  result.failed = true;
  result.failure = to_message(why);
  return result;
}

}  // namespace troupe::net
