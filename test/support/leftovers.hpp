/// What outlives a run of tests: daemons and workers that a test has started and not ended.
#pragma once

#include <string>
#include <vector>

namespace troupe::test {

/// Marks whatever this process starts from now on, and what that starts in turn.
void mark_started_processes();

/// Waits a while until every marked process has ended, and kills those that have not; gives the
/// command lines of these. Nothing marked: nothing.
std::vector<std::string> end_marked_processes();

/// Says so on stderr; the program fails then, whatever its tests said.
void report_leftover(const std::string& what);
bool any_left_over() noexcept;

}  // namespace troupe::test
