/// What the stages of the index hand to each other: passages of files, and files that were left
/// out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace document_index {

/// A few hundred words of a file. `number` counts the passages of one file from 0.
struct passage {
  std::string path;
  std::uint32_t number = 0;
  std::string text;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(path, number, text);
  }
};

enum class omission : std::uint8_t { compressed, binary, empty, too_large, special, unreadable };

const char* to_string(omission why);

struct left_out_file {
  std::string path;
  omission why = omission::unreadable;
  std::string detail;  ///< what the system said, when it could not be read

  template <class Archive>
  void serialize(Archive& archive) {
    archive(path, why, detail);
  }
};

/// What one step of reading gives: passages, mostly of several files, and what happened meanwhile.
struct batch {
  std::vector<passage> passages;
  std::vector<left_out_file> left_out;
  std::uint32_t files_read = 0;
  std::uint64_t bytes_read = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(passages, left_out, files_read, bytes_read);
  }
};

}  // namespace document_index
