/// The pipeline: it has no line about failures.
#pragma once

#include <string>

/// Refines 200 blocks, and counts each in an actor that keeps a journal in that file. Whether the
/// result is that of the serial run.
bool pipeline(const std::string& journal);
