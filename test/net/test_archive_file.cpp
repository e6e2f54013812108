// Files of an environment, packed and unpacked.
#include "net/archive_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include <troupe/error.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe;
using namespace troupe::net;
using troupe::test::contains;
using troupe::test::temp_folder;

namespace {

constexpr std::uint64_t most = 1'000'000;

struct entry_of {
  std::string path;
  std::string link;  ///< empty: a file
  unsigned type = AE_IFREG;
};

/// An archive as somebody else could make it.
int archive_of(const temp_folder& folder, const std::vector<entry_of>& entries) {
  const int fd = ::open((folder / "hostile").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  ::archive* const out = ::archive_write_new();
  ::archive_write_set_format_pax_restricted(out);
  ::archive_write_add_filter_zstd(out);
  ::archive_write_open_fd(out, fd);
  for (const entry_of& e : entries) {
    ::archive_entry* const entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, e.path.c_str());
    ::archive_entry_set_perm(entry, 0700);
    ::archive_entry_set_filetype(entry, e.link.empty() ? e.type : AE_IFLNK);
    if (!e.link.empty()) ::archive_entry_set_symlink(entry, e.link.c_str());
    const bool is_file = e.link.empty() && e.type == AE_IFREG;
    ::archive_entry_set_size(entry, is_file ? 4 : 0);
    ::archive_write_header(out, entry);
    if (is_file) ::archive_write_data(out, "evil", 4);
    ::archive_entry_free(entry);
  }
  ::archive_write_close(out);
  ::archive_write_free(out);
  return fd;
}

}  // namespace

TEST_CASE("the same files give the same package, wherever and whenever they were written") {
  const temp_folder a;
  const temp_folder b;
  for (const temp_folder* folder : {&a, &b}) {
    folder->write("data/x", "one");
    folder->write("data/deep/y", "two");
    std::filesystem::create_symlink("deep/y", *folder / "data/link");
  }
  const packed_file first = pack_environment({.working_dir = a / "data"}, most);
  const packed_file second = pack_environment({.working_dir = b / "data"}, most);
  CHECK(first.hash == second.hash);
  unpack_environment(first.fd.get(), a / "out", most);
  CHECK(a.read("out/work/x") == "one");
  CHECK(a.read("out/work/link") == "two");
  b.write("data/x", "other");
  const packed_file third = pack_environment({.working_dir = b / "data"}, most);
  CHECK(third.hash != first.hash);
}

TEST_CASE("a package never leaves its folder") {
  const temp_folder folder;
  const auto refused = [&](const std::vector<entry_of>& entries) {
    const int fd = archive_of(folder, entries);
    std::filesystem::remove_all(folder / "out");
    std::string text;
    try {
      unpack_environment(fd, folder / "out", most);
    } catch (const runtime_env_error& e) {
      text = e.what();
    }
    ::close(fd);
    INFO(text);
    CHECK(!text.empty());
    CHECK(!std::filesystem::exists(folder / "evil"));
  };
  const entry_of work{"work", "", AE_IFDIR};
  refused({work, {"../evil", ""}});
  refused({work, {"work/../../evil", ""}});
  refused({{(folder / "evil"), ""}});
  refused({{"evil", ""}});
  refused({work, {"work/out", "../.."}});
  refused({work, {"work/out", "/tmp"}});
  refused({work, {"work/here", "."}, {"work/out", "here/../.."}});
  refused({work, {"work/here", "."}, {"work/here/evil", ""}});  // through a link
  refused({work, {"work/pipe", "", AE_IFIFO}});
  refused({work, {"work/x", ""}, {"work/x", ""}});
}

TEST_CASE("links may lead about inside") {
  CHECK(link_stays_inside("work/a", "b"));
  CHECK(link_stays_inside("work/deep/a", "../b"));
  CHECK(link_stays_inside("work/deep/a", ".././b/c"));
  CHECK(!link_stays_inside("work/a", "../b"));
  CHECK(!link_stays_inside("work/deep/a", "../../b"));
  CHECK(!link_stays_inside("work/a", "b/../c"));
  CHECK(!link_stays_inside("work/a", "/etc"));
  CHECK(!link_stays_inside("work/a", ""));
  CHECK(!link_stays_inside("work", "x"));
}

TEST_CASE("what is no package, or unpacks to too much, is refused") {
  const temp_folder folder;
  const int none = ::open(folder.write("x", "no archive at all").c_str(), O_RDONLY);
  CHECK_THROWS_AS(unpack_environment(none, folder / "a", most), runtime_env_error);
  ::close(none);
  folder.write("data/zeros", std::string(100'000, '\0'));
  const packed_file packed = pack_environment({.working_dir = folder / "data"}, most);
  CHECK(packed.size < 10'000);
  CHECK_THROWS_AS(unpack_environment(packed.fd.get(), folder / "b", 99'999), runtime_env_error);
}
