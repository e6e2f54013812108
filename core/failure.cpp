#include "core/failure.hpp"

#include <cxxabi.h>
#include <unistd.h>

#include <any>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <ios>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "core/execution.hpp"
#include "core/node_name.hpp"

namespace troupe::core {

namespace {

using detail::failure;
using detail::failure_ptr;
using info_ptr = std::shared_ptr<const failure_info>;

std::string demangled(const std::type_info& type) {
  int status = 0;
  char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string result = status == 0 ? text : type.name();
  std::free(text);
  return result;
}

/// `bad input [in task parse, called by load]`
std::string told(const failure_info& info) {
  std::string text = info.message + " [in " + info.frames.front();
  for (std::size_t i = 1; i < info.frames.size(); ++i) text += ", called by " + info.frames[i];
  return text + "]";
}

/// A standard exception that knows the tasks it passed.
template <class Standard>
class thrown_by_task final : public Standard, public task_error {
 public:
  template <class... Args>
  explicit thrown_by_task(info_ptr info, Args&&... args)
      : Standard(std::forward<Args>(args)...), task_error(info), text_(told(*info)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

template <class Standard>
constexpr bool takes_message = std::is_constructible_v<Standard, const std::string&>;

/// The enriched twin of `thrown` when it is exactly a `Standard`.
template <class Standard>
std::exception_ptr enrich(const std::exception& thrown, const info_ptr& info) {
  if (typeid(thrown) != typeid(Standard)) return nullptr;
  if constexpr (std::is_base_of_v<std::system_error, Standard>) {
    const auto& error = static_cast<const std::system_error&>(thrown);
    return std::make_exception_ptr(thrown_by_task<Standard>(info, error.code()));
  } else if constexpr (takes_message<Standard>) {
    return std::make_exception_ptr(thrown_by_task<Standard>(info, info->message));
  } else {
    return std::make_exception_ptr(thrown_by_task<Standard>(info));
  }
}

template <class... Standard>
std::exception_ptr enrich_any(const std::exception& thrown, const info_ptr& info) {
  std::exception_ptr result;
  ((result = enrich<Standard>(thrown, info)) || ...);
  return result;
}

std::exception_ptr enrich_standard(const std::exception& thrown, const info_ptr& info) {
  return enrich_any<std::runtime_error, std::logic_error, std::invalid_argument, std::out_of_range,
                    std::domain_error, std::length_error, std::range_error, std::overflow_error,
                    std::underflow_error, std::system_error, std::bad_alloc, std::bad_cast,
                    std::bad_typeid, std::bad_exception, std::bad_function_call,
                    std::bad_optional_access, std::bad_variant_access, std::bad_any_cast,
                    std::bad_weak_ptr, std::bad_array_new_length, std::exception>(thrown, info);
}

/// The same history with one more frame, for an exception that was a `thrown_by_task`.
template <class... Standard>
std::exception_ptr extend_any(const std::exception& thrown, const info_ptr& info) {
  std::exception_ptr result;
  const auto try_one = [&]<class S>(std::type_identity<S>) {
    if (dynamic_cast<const thrown_by_task<S>*>(&thrown) == nullptr) return false;
    if constexpr (std::is_base_of_v<std::system_error, S>) {
      const auto& error = dynamic_cast<const std::system_error&>(thrown);
      result = std::make_exception_ptr(thrown_by_task<S>(info, error.code()));
    } else if constexpr (takes_message<S>) {
      result = std::make_exception_ptr(thrown_by_task<S>(info, info->message));
    } else {
      result = std::make_exception_ptr(thrown_by_task<S>(info));
    }
    return true;
  };
  (try_one(std::type_identity<Standard>{}) || ...);
  return result;
}

std::exception_ptr extend_standard(const std::exception& thrown, const info_ptr& info) {
  return extend_any<std::runtime_error, std::logic_error, std::invalid_argument, std::out_of_range,
                    std::domain_error, std::length_error, std::range_error, std::overflow_error,
                    std::underflow_error, std::system_error, std::bad_alloc, std::bad_cast,
                    std::bad_typeid, std::bad_exception, std::bad_function_call,
                    std::bad_optional_access, std::bad_variant_access, std::bad_any_cast,
                    std::bad_weak_ptr, std::bad_array_new_length, std::exception>(thrown, info);
}

info_ptr first_info(const std::type_info* type, std::string message, std::string_view name) {
  auto info = std::make_shared<failure_info>();
  info->type = type != nullptr ? demangled(*type) : "unknown";
  info->message = std::move(message);
  info->frames.emplace_back(name);
  info->node = node_name();
  info->pid = ::getpid();
  return info;
}

info_ptr longer_info(const failure_info& before, std::string_view name) {
  auto info = std::make_shared<failure_info>(before);
  info->frames.emplace_back(name);
  return info;
}

failure_ptr made(std::exception_ptr thrown, info_ptr info) {
  return std::make_shared<const failure>(failure{std::move(thrown), std::move(info)});
}

// The last failure that was thrown on this thread: an exception of the user's own type cannot carry
// its history, but it is the same object when it escapes the next task.
thread_local failure_ptr last_thrown;

/// An exception of a type that only the process which threw it knows.
class thrown_elsewhere final : public std::runtime_error, public task_error {
 public:
  explicit thrown_elsewhere(info_ptr info)
      : std::runtime_error(info->message), task_error(info), text_(told(*info)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

template <class Standard>
std::exception_ptr standard_of(const info_ptr& info, const std::error_code& code) {
  static const std::string name = demangled(typeid(Standard));
  if (info->type != name) return nullptr;
  if constexpr (std::is_base_of_v<std::system_error, Standard>) {
    return std::make_exception_ptr(thrown_by_task<Standard>(info, code));
  } else if constexpr (takes_message<Standard>) {
    return std::make_exception_ptr(thrown_by_task<Standard>(info, info->message));
  } else {
    return std::make_exception_ptr(thrown_by_task<Standard>(info));
  }
}

template <class... Standard>
std::exception_ptr any_standard_of(const info_ptr& info, const std::error_code& code) {
  std::exception_ptr result;
  ((result = standard_of<Standard>(info, code)) || ...);
  return result;
}

template <class Error>
bool is_a(const std::exception_ptr& thrown, std::string& message) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& e) {
    message = static_cast<const detail::runtime_failure&>(e).what();
    return true;
  } catch (...) {
    return false;
  }
}

/// The index of the first error that `thrown` is, from 1; 0 for none. The more special come first.
template <class... Error>
std::uint8_t first_of(const std::exception_ptr& thrown, std::string& message) {
  std::uint8_t at = 0;
  const bool found = ((++at, is_a<Error>(thrown, message)) || ...);
  return found ? at : 0;
}

template <class... Error>
std::exception_ptr nth_of(std::uint8_t index, const std::string& message) {
  std::exception_ptr result;
  std::uint8_t at = 0;
  const auto is_it = [&]<class E>(std::type_identity<E>) {
    if (++at != index) return false;
    result = std::make_exception_ptr(E(message));
    return true;
  };
  static_cast<void>((is_it(std::type_identity<Error>{}) || ...));
  return result;
}

#define TROUPE_ERRORS                                                                     \
  task_timeout_error, task_cancelled_error, get_timeout_error, worker_crashed_error,      \
      actor_died_error, actor_unavailable_error, owner_died_error, object_lost_error,     \
      out_of_memory_error, runtime_env_error, pending_calls_limit_error, placement_error, \
      connection_error, actor_name_error

}  // namespace

failure_description describe(const failure& why) {
  failure_description result;
  result.error = first_of<TROUPE_ERRORS>(why.thrown, result.message);
  if (why.info) result.info = *why.info;
  if (result.error != 0) return result;
  try {
    std::rethrow_exception(why.thrown);
  } catch (const std::system_error& e) {
    result.code = e.code().value();
    result.category = e.code().category().name();
  } catch (const std::exception& e) {
    if (!why.info) result.message = e.what();
  } catch (...) {
    if (!why.info) result.message = "an exception that is no std::exception";
  }
  return result;
}

failure_ptr rebuild(const failure_description& from) {
  if (from.error != 0) {
    auto thrown = nth_of<TROUPE_ERRORS>(from.error, from.message);
    if (thrown) {
      return made(std::move(thrown),
                  from.info.frames.empty() ? nullptr : std::make_shared<failure_info>(from.info));
    }
  }
  auto info = std::make_shared<failure_info>(from.info);
  if (info->frames.empty()) info->frames.emplace_back("a task");
  if (info->message.empty()) info->message = from.message;
  const std::error_code code(
      from.code, from.category == "system" ? std::system_category() : std::generic_category());
  auto thrown =
      any_standard_of<std::runtime_error, std::logic_error, std::invalid_argument,
                      std::out_of_range, std::domain_error, std::length_error, std::range_error,
                      std::overflow_error, std::underflow_error, std::system_error, std::bad_alloc,
                      std::bad_cast, std::bad_typeid, std::bad_exception, std::bad_function_call,
                      std::bad_optional_access, std::bad_variant_access, std::bad_any_cast,
                      std::bad_weak_ptr, std::bad_array_new_length, std::exception>(info, code);
  if (!thrown) thrown = std::make_exception_ptr(thrown_elsewhere(info));
  return made(std::move(thrown), std::move(info));
}

#undef TROUPE_ERRORS

void note_thrown(const failure_ptr& why) {
  // Only a task passes its history on; elsewhere the exception would live too long.
  if (current_execution != nullptr) last_thrown = why;
}

failure_ptr capture_failure(std::string_view name) {
  const std::exception_ptr current = std::current_exception();
  failure_ptr known = std::exchange(last_thrown, nullptr);
  if (known && known->thrown != current) known = nullptr;
  try {
    throw;
  } catch (const std::exception& e) {
    if (const auto* told_already = dynamic_cast<const task_error*>(&e)) {
      const info_ptr info = longer_info(*told_already->info(), name);
      if (auto extended = extend_standard(e, info)) return made(std::move(extended), info);
      return made(current, info);
    }
    if (known && known->info) return made(current, longer_info(*known->info, name));
    const info_ptr info = first_info(&typeid(e), e.what(), name);
    if (dynamic_cast<const error*>(&e) != nullptr) return made(current, info);
    if (auto enriched = enrich_standard(e, info)) return made(std::move(enriched), info);
    return made(current, info);
  } catch (...) {
    if (known && known->info) return made(current, longer_info(*known->info, name));
    return made(current, first_info(abi::__cxa_current_exception_type(),
                                    "an exception that is no std::exception", name));
  }
}

}  // namespace troupe::core
