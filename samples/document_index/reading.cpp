#include "reading.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "text.hpp"

namespace document_index {

namespace fs = std::filesystem;

const char* to_string(omission why) {
  switch (why) {
    case omission::compressed:
      return "compressed";
    case omission::binary:
      return "binary";
    case omission::empty:
      return "empty";
    case omission::too_large:
      return "too large";
    case omission::special:
      return "special";
    case omission::unreadable:
      return "unreadable";
  }
  return "unknown";
}

namespace {

bool is_compressed(const fs::path& path) {
  static constexpr std::array<std::string_view, 5> suffixes = {".bz2", ".gz", ".xz", ".zip",
                                                               ".zst"};
  const std::string suffix = path.extension().string();
  return std::find(suffixes.begin(), suffixes.end(), suffix) != suffixes.end();
}

bool is_markup(std::string_view path) {
  return path.ends_with(".html") || path.ends_with(".htm") || path.ends_with(".xml") ||
         path.ends_with(".xhtml");
}

class file_finder {
 public:
  explicit file_finder(std::optional<std::size_t> limit) : limit_(limit) {}

  /// Says what went wrong when the directory itself could not be listed.
  std::error_code visit(const fs::path& directory) {
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    fs::directory_iterator at(directory, error);
    for (; !error && at != fs::directory_iterator(); at.increment(error)) entries.push_back(*at);
    if (error) return error;
    std::sort(entries.begin(), entries.end());
    for (const fs::directory_entry& entry : entries) {
      if (full()) break;
      consider(entry);
    }
    return {};
  }
  file_list take() { return std::move(found_); }

 private:
  bool full() const { return limit_ && found_.paths.size() >= *limit_; }

  void consider(const fs::directory_entry& entry) {
    std::error_code error;
    const fs::file_status status = entry.symlink_status(error);
    const std::string path = entry.path().string();
    if (error) {
      found_.left_out.push_back({path, omission::unreadable, error.message()});
    } else if (fs::is_directory(status)) {
      if (error = visit(entry.path()); error) {
        found_.left_out.push_back({path, omission::unreadable, error.message()});
      }
    } else if (fs::is_regular_file(status)) {
      if (is_compressed(entry.path())) {
        found_.left_out.push_back({path, omission::compressed, {}});
      } else {
        found_.paths.push_back(path);
      }
    } else if (!fs::is_symlink(status)) {
      found_.left_out.push_back({path, omission::special, {}});
    }
  }

  std::optional<std::size_t> limit_;
  file_list found_;
};

/// The file's bytes, or why they are left out.
std::optional<left_out_file> read_file(const std::string& path, std::uint64_t max_bytes,
                                       std::string& content) {
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size >= 0 && static_cast<std::uint64_t>(size) > max_bytes) {
    return left_out_file{path, omission::too_large, {}};
  }
  if (size == 0) return left_out_file{path, omission::empty, {}};
  if (size > 0) {
    content.resize(static_cast<std::size_t>(size));
    file.seekg(0);
    file.read(content.data(), size);
    content.resize(static_cast<std::size_t>(file.gcount()));  // it may shrink while it is read
  }
  if (size < 0 || file.bad() || content.empty()) {
    const int reason = errno;
    const std::string said =
        reason != 0 ? std::generic_category().message(reason) : "reading it failed";
    return left_out_file{path, omission::unreadable, said};
  }
  if (looks_binary(content)) return left_out_file{path, omission::binary, {}};
  return std::nullopt;
}

}  // namespace

file_list find_files(const std::vector<fs::path>& roots, std::optional<std::size_t> limit) {
  file_finder finder(limit);
  for (const fs::path& root : roots) {
    if (const std::error_code error = finder.visit(root)) {
      throw std::runtime_error("cannot list the directory '" + root.string() +
                               "': " + error.message());
    }
  }
  return finder.take();
}

troupe::generator<batch> read_files(std::vector<std::string> paths, reading_options options) {
  batch current;
  std::string content;
  for (const std::string& path : paths) {
    if (auto left_out = read_file(path, options.max_file_bytes, content)) {
      current.left_out.push_back(*std::move(left_out));
      continue;
    }
    ++current.files_read;
    current.bytes_read += content.size();
    if (is_markup(path)) content = without_markup(content);
    std::uint32_t number = 0;
    for (const std::string_view text :
         split_into_passages(content, options.passage_words, options.overlap_words)) {
      current.passages.push_back({path, number++, std::string(text)});
      if (current.passages.size() < options.batch_size) continue;
      batch full = std::exchange(current, batch());
      co_yield std::move(full);
    }
  }
  if (current.files_read > 0 || !current.left_out.empty()) co_yield std::move(current);
}

}  // namespace document_index
