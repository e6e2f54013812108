/// The tests' main: Catch's own, with exit codes that ctest can read.
#define CATCH_CONFIG_RUNNER
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cstdlib>

#include <troupe/runtime.hpp>

#include "test/support/leftovers.hpp"
#include "test/support/skip.hpp"

namespace {

// Catch returns the number of failed assertions, which may be any code, also one that has a meaning
// to ctest or a shell.
constexpr int some_failed = 1;
constexpr int nothing_ran = 2;

}  // namespace

int main(int argc, char** argv) {
  // A worker of a test that is a cluster's program itself: it stays in here. Else it would run the
  // test up to there, with daemons of its own that nobody ends.
  if (std::getenv("TROUPE_WORKER_NODE") != nullptr && std::getenv("TEST_PLAYS_WORKER") == nullptr) {
    static_cast<void>(troupe::init());
  }
  Catch::Session session;
#if !__has_include(<catch2/catch_session.hpp>)
  // A filter that matches nothing passes by default in 2.x: a renamed file would go untested.
  auto& warnings = session.configData().warnings;
  warnings = static_cast<Catch::WarnAbout::What>(warnings | Catch::WarnAbout::NoTests);
#endif
  if (const int bad_arguments = session.applyCommandLine(argc, argv); bad_arguments != 0) {
    return bad_arguments;
  }
  troupe::test::mark_started_processes();
  const int code = session.run();
  for (const std::string& process : troupe::test::end_marked_processes()) {
    troupe::test::report_leftover(process);
  }
  if (troupe::test::any_left_over()) return some_failed;
  if (code == 0) return troupe::test::any_skipped() ? troupe::test::some_skipped : 0;
  return code == nothing_ran ? nothing_ran : some_failed;
}
