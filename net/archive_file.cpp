#include "net/archive_file.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include <troupe/error.hpp>

#include "net/content_hash.hpp"

namespace troupe::net {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_entries = 100'000;
constexpr std::size_t longest_path = 4'000;

[[noreturn]] void fail(const std::string& what) { throw runtime_env_error("runtime_env: " + what); }
[[noreturn]] void fail_by_errno(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

std::string bytes_text(std::uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

using archive_ptr = std::unique_ptr<::archive, int (*)(::archive*)>;
using entry_ptr = std::unique_ptr<::archive_entry, void (*)(::archive_entry*)>;

/// A file without a name, where temporary files lie.
core::descriptor nameless_file() {
  const fs::path folder = fs::temp_directory_path();
  std::string pattern = (folder / "troupe-pack-XXXXXX").string();
  core::descriptor fd(::mkostemp(pattern.data(), O_CLOEXEC));
  if (!fd) fail_by_errno("cannot make a file in " + folder.string());
  ::unlink(pattern.c_str());
  return fd;
}

class packer {
 public:
  packer(int fd, std::uint64_t most_bytes)
      : archive_(::archive_write_new(), &::archive_write_free), most_bytes_(most_bytes) {
    ::archive_write_set_format_pax_restricted(archive_.get());
    ::archive_write_add_filter_zstd(archive_.get());
    ::archive_write_set_filter_option(archive_.get(), "zstd", "compression-level", "1");
    check(::archive_write_open_fd(archive_.get(), fd));
  }

  void add(const fs::path& from, const std::string& as) {
    struct stat facts {};
    if (::lstat(from.c_str(), &facts) != 0) fail_by_errno("cannot read '" + from.string() + "'");
    if (!names_.insert(as).second) {
      fail("two files would lie at the same place of the working folder: '" + from.string() + "'");
    }
    if (names_.size() > most_entries) {
      fail("more than " + std::to_string(most_entries) + " files; leave out what is not needed");
    }
    const entry_ptr entry(::archive_entry_new(), &::archive_entry_free);
    ::archive_entry_set_pathname(entry.get(), as.c_str());
    ::archive_entry_set_mtime(entry.get(), 0, 0);
    if (S_ISDIR(facts.st_mode)) {
      ::archive_entry_set_filetype(entry.get(), AE_IFDIR);
      ::archive_entry_set_perm(entry.get(), 0700);
      check(::archive_write_header(archive_.get(), entry.get()));
      add_content(from, as);
    } else if (S_ISLNK(facts.st_mode)) {
      std::error_code none;
      const std::string target = fs::read_symlink(from, none).string();
      if (!link_stays_inside(as, target)) {
        fail("the link '" + from.string() + "' leads to '" + target +
             "', out of the folder: copy what it leads to");
      }
      ::archive_entry_set_filetype(entry.get(), AE_IFLNK);
      ::archive_entry_set_perm(entry.get(), 0700);
      ::archive_entry_set_symlink(entry.get(), target.c_str());
      check(::archive_write_header(archive_.get(), entry.get()));
    } else if (S_ISREG(facts.st_mode)) {
      add_file(from, entry.get(), (facts.st_mode & S_IXUSR) != 0);
    } else {
      fail("'" + from.string() + "' is neither a file nor a folder nor a link");
    }
  }

  /// What is named here may be a link itself.
  void add_named(const std::string& given, const std::string& as) {
    std::error_code wrong;
    const fs::path real = fs::canonical(given, wrong);
    if (wrong) fail("cannot read '" + given + "': " + wrong.message());
    if (!fs::is_regular_file(real, wrong)) fail("'" + given + "' is no file");
    add(real, as);
  }

  void add_content(const fs::path& folder, const std::string& as) {
    std::vector<fs::path> inside;
    std::error_code wrong;
    for (fs::directory_iterator at(folder, wrong), end; !wrong && at != end; at.increment(wrong)) {
      inside.push_back(at->path());
    }
    if (wrong) fail("cannot read the folder '" + folder.string() + "': " + wrong.message());
    std::sort(inside.begin(), inside.end());
    for (const fs::path& one : inside) add(one, as + "/" + one.filename().string());
  }

  void folder(const std::string& as) {
    const entry_ptr entry(::archive_entry_new(), &::archive_entry_free);
    names_.insert(as);
    ::archive_entry_set_pathname(entry.get(), as.c_str());
    ::archive_entry_set_filetype(entry.get(), AE_IFDIR);
    ::archive_entry_set_perm(entry.get(), 0700);
    ::archive_entry_set_mtime(entry.get(), 0, 0);
    check(::archive_write_header(archive_.get(), entry.get()));
  }

  void finish() { check(::archive_write_close(archive_.get())); }

 private:
  void add_file(const fs::path& from, ::archive_entry* entry, bool runs) {
    const core::descriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat facts {};
    if (!in || ::fstat(in.get(), &facts) != 0) {
      fail_by_errno("cannot read '" + from.string() + "'");
    }
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    bytes_ += size;
    if (bytes_ > most_bytes_) {
      fail("its files have more than " + bytes_text(most_bytes_) + " together ('" + from.string() +
           "' was one too many): leave out what is not needed, or raise 'package-max-bytes'");
    }
    ::archive_entry_set_filetype(entry, AE_IFREG);
    ::archive_entry_set_perm(entry, runs ? 0700 : 0600);
    ::archive_entry_set_size(entry, facts.st_size);
    check(::archive_write_header(archive_.get(), entry));
    std::uint64_t left = size;
    while (left > 0) {
      const ssize_t got =
          ::read(in.get(), buffer_.data(), std::min<std::uint64_t>(left, buffer_.size()));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail_by_errno("cannot read '" + from.string() + "'");
      if (got == 0) fail("'" + from.string() + "' became shorter while it was read");
      const auto put =
          ::archive_write_data(archive_.get(), buffer_.data(), static_cast<std::size_t>(got));
      if (put != got) check(ARCHIVE_FATAL);
      left -= static_cast<std::uint64_t>(got);
    }
  }

  void check(int result) {
    if (result >= ARCHIVE_WARN) return;
    const char* const why = ::archive_error_string(archive_.get());
    fail("cannot write the package in " + fs::temp_directory_path().string() + ": " +
         (why != nullptr ? why : "no reason was given") + ". Is the disk full?");
  }

  archive_ptr archive_;
  const std::uint64_t most_bytes_;
  std::uint64_t bytes_ = 0;
  std::set<std::string> names_;
  std::array<char, 65'536> buffer_{};
};

// -- unpacking ------------------------------------------------------------------------------------

/// The folder of an entry, opened name by name: a link on the way is not followed.
core::descriptor open_folder_of(int root, const std::vector<std::string>& parts) {
  core::descriptor at(::dup(root));
  for (std::size_t i = 0; i + 1 < parts.size() && at; ++i) {
    at.reset(::openat(at.get(), parts[i].c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
  }
  return at;
}

class unpacker {
 public:
  unpacker(int fd, std::string folder, std::uint64_t most_bytes)
      : archive_(::archive_read_new(), &::archive_read_free),
        folder_(std::move(folder)),
        most_bytes_(most_bytes) {
    ::archive_read_support_format_tar(archive_.get());
    ::archive_read_support_filter_zstd(archive_.get());
    if (::lseek(fd, 0, SEEK_SET) != 0 ||
        ::archive_read_open_fd(archive_.get(), fd, 65'536) != ARCHIVE_OK) {
      broken();
    }
  }

  void run() {
    if (::mkdir(folder_.c_str(), 0700) != 0) fail_by_errno("cannot make the folder " + folder_);
    const core::descriptor root(::open(folder_.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
    if (!root) fail_by_errno("cannot open the folder " + folder_);
    for (std::size_t count = 0;; ++count) {
      ::archive_entry* entry = nullptr;
      const int got = ::archive_read_next_header(archive_.get(), &entry);
      if (got == ARCHIVE_EOF) return;
      if (got < ARCHIVE_WARN) broken();
      if (count == most_entries) fail("the package has too many files");
      add(root.get(), entry);
    }
  }

 private:
  void add(int root, ::archive_entry* entry) {
    const char* const raw = ::archive_entry_pathname(entry);
    std::string path = raw != nullptr ? raw : "";
    while (!path.empty() && path.back() == '/') path.pop_back();
    const std::vector<std::string> parts = parts_of(path);
    const bool inside =
        path.size() <= longest_path && (parts[0] == packed_work || parts[0] == packed_libraries) &&
        std::none_of(parts.begin(), parts.end(),
                     [](const std::string& p) { return p.empty() || p == "." || p == ".."; });
    if (!inside) fail("the package has a file outside of its folder: '" + path + "'");
    const core::descriptor folder = open_folder_of(root, parts);
    if (!folder) fail_by_errno("cannot unpack '" + path + "'");
    const char* const name = parts.back().c_str();
    const auto type = ::archive_entry_filetype(entry);
    if (::archive_entry_hardlink(entry) != nullptr) {
      fail("the package has a hard link: '" + path + "'");
    }
    if (type == AE_IFDIR) {
      if (::mkdirat(folder.get(), name, 0700) != 0) fail_by_errno("cannot unpack '" + path + "'");
    } else if (type == AE_IFLNK) {
      const char* const target = ::archive_entry_symlink(entry);
      if (target == nullptr || !link_stays_inside(path, target)) {
        fail("the package has a link that leads out of its folder: '" + path + "'");
      }
      if (::symlinkat(target, folder.get(), name) != 0)
        fail_by_errno("cannot unpack '" + path + "'");
    } else if (type == AE_IFREG) {
      const mode_t mode = (::archive_entry_perm(entry) & S_IXUSR) != 0 ? 0700 : 0600;
      const core::descriptor out(
          ::openat(folder.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
      if (!out) fail_by_errno("cannot unpack '" + path + "'");
      copy(out.get(), path);
    } else {
      fail("the package has what is neither a file nor a folder nor a link: '" + path + "'");
    }
  }

  void copy(int out, const std::string& path) {
    for (;;) {
      const ssize_t got = ::archive_read_data(archive_.get(), buffer_.data(), buffer_.size());
      if (got == 0) return;
      if (got < 0) broken();
      bytes_ += static_cast<std::uint64_t>(got);
      if (bytes_ > most_bytes_) fail("the package unpacks to more than " + bytes_text(most_bytes_));
      for (std::size_t put = 0; put < static_cast<std::size_t>(got);) {
        const ssize_t now = ::write(out, buffer_.data() + put, static_cast<std::size_t>(got) - put);
        if (now < 0 && errno == EINTR) continue;
        if (now <= 0) fail_by_errno("cannot unpack '" + path + "'");
        put += static_cast<std::size_t>(now);
      }
    }
  }

  [[noreturn]] void broken() {
    const char* const why = ::archive_error_string(archive_.get());
    fail(std::string("the package cannot be read: ") + (why != nullptr ? why : "it is no archive"));
  }

  archive_ptr archive_;
  const std::string folder_;
  const std::uint64_t most_bytes_;
  std::uint64_t bytes_ = 0;
  std::array<char, 65'536> buffer_{};
};

}  // namespace

bool link_stays_inside(const std::string& path, const std::string& target) {
  if (target.empty() || target.front() == '/' || target.size() > longest_path) return false;
  // Below the first folder of the path; the link's own name is no folder.
  std::size_t depth = parts_of(path).size();
  if (depth < 2) return false;
  depth -= 2;
  bool climbs = true;
  for (const std::string& part : parts_of(target)) {
    if (part == "..") {
      // Behind a name it would climb from wherever that name's own link leads.
      if (!climbs || depth == 0) return false;
      --depth;
    } else if (part.empty() || part == ".") {
      continue;
    } else {
      climbs = false;
    }
  }
  return true;
}

packed_file pack_environment(const runtime_env& what, std::uint64_t most_bytes) {
  core::descriptor out = nameless_file();
  packer into(out.get(), most_bytes);
  if (!what.working_dir.empty() || !what.files.empty()) {
    into.folder(packed_work);
    if (!what.working_dir.empty()) {
      std::error_code wrong;
      if (!fs::is_directory(what.working_dir, wrong)) {
        fail("working_dir '" + what.working_dir + "' is no folder" +
             (wrong ? ": " + wrong.message() : std::string()));
      }
      into.add_content(what.working_dir, packed_work);
    }
    for (const std::string& file : what.files) {
      into.add_named(file, std::string(packed_work) + "/" + fs::path(file).filename().string());
    }
  }
  if (!what.libraries.empty()) {
    into.folder(packed_libraries);
    for (const std::string& file : what.libraries) {
      into.add_named(file,
                     std::string(packed_libraries) + "/" + fs::path(file).filename().string());
    }
  }
  into.finish();
  packed_file result;
  struct stat facts {};
  ::fstat(out.get(), &facts);
  result.size = static_cast<std::uint64_t>(facts.st_size);
  result.hash = hash_of_file(out.get());
  result.fd = std::move(out);
  return result;
}

void unpack_environment(int fd, const std::string& folder, std::uint64_t most_bytes) {
  unpacker(fd, folder, most_bytes).run();
}

}  // namespace troupe::net
