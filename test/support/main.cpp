/// The tests' main: Catch's own, with exit codes that ctest can read.
#define CATCH_CONFIG_RUNNER
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include "test/support/skip.hpp"

namespace {

// Catch returns the number of failed assertions, which may be any code, also one that has a meaning
// to ctest or a shell.
constexpr int some_failed = 1;
constexpr int nothing_ran = 2;

}  // namespace

int main(int argc, char** argv) {
  Catch::Session session;
#if !__has_include(<catch2/catch_session.hpp>)
  // A filter that matches nothing passes by default in 2.x: a renamed file would go untested.
  auto& warnings = session.configData().warnings;
  warnings = static_cast<Catch::WarnAbout::What>(warnings | Catch::WarnAbout::NoTests);
#endif
  if (const int bad_arguments = session.applyCommandLine(argc, argv); bad_arguments != 0) {
    return bad_arguments;
  }
  const int code = session.run();
  if (code == 0) return troupe::test::any_skipped() ? troupe::test::some_skipped : 0;
  return code == nothing_ran ? nothing_ran : some_failed;
}
