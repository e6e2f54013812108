/// What outlives a run of tests: daemons and workers that a test has started and not ended.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace troupe::test {

/// Marks whatever this process starts from now on, and what that starts in turn.
void mark_started_processes();

/// Waits until every marked process has ended, and kills those that have not in time; gives the
/// command lines of these.
std::vector<std::string> end_marked_processes(
    std::chrono::milliseconds longest = std::chrono::seconds(10));

/// Says so on stderr; the program fails then, whatever its tests said.
void report_leftover(const std::string& what);
bool any_left_over() noexcept;

}  // namespace troupe::test
