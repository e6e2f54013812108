/// Finds the files of an index and reads them, as tasks that give their passages while they run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <troupe/generator.hpp>

#include "passage.hpp"

namespace document_index {

struct file_list {
  std::vector<std::string> paths;       ///< to be read, sorted within each root
  std::vector<left_out_file> left_out;  ///< known by their name or kind to be no text
};

/// The regular files below `roots`, at most `limit` of them. Symbolic links are not followed, so
/// that each text counts once; a directory that cannot be listed is left out and named.
/// @throws std::runtime_error for a root that does not exist or cannot be listed.
file_list find_files(const std::vector<std::filesystem::path>& roots,
                     std::optional<std::size_t> limit);

struct reading_options {
  std::uint64_t max_file_bytes = 1 << 20;
  std::size_t passage_words = 200;
  std::size_t overlap_words = 40;
  std::size_t batch_size = 32;  ///< passages that one step gives

  template <class Archive>
  void serialize(Archive& archive) {
    archive(max_file_bytes, passage_words, overlap_words, batch_size);
  }
};

/// A task that reads files one after the other and gives their passages in batches. What cannot be
/// read is in the batch, too. It pauses while its consumer has enough of them.
troupe::generator<batch> read_files(std::vector<std::string> paths, reading_options options);

}  // namespace document_index
