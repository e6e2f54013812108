#include "net/rotating_file.hpp"

#include <sys/stat.h>

#include "test/support/catch.hpp"
#include "test/support/temp_folder.hpp"

using troupe::net::rotating_file;
using troupe::test::temp_folder;

TEST_CASE("a file that is full is begun anew, and so many of the old ones are kept") {
  const temp_folder folder;
  const std::string path = folder.path().string() + "/log";
  {
    rotating_file file(path, {.max_bytes = 10, .files = 3});
    for (const char* const text : {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "x"}) {
      file.write(text);
    }
  }
  CHECK(folder.read("log") == "ddddddddx");
  CHECK(folder.read("log.1") == "cccccccc");
  CHECK(folder.read("log.2") == "bbbbbbbb");
  CHECK(!std::filesystem::exists(path + ".3"));
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
  troupe::net::remove_rotated(path, 3);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a file that is there is continued, and a piece larger than a file is kept whole") {
  const temp_folder folder;
  const std::string path = folder.path().string() + "/log";
  rotating_file(path, {.max_bytes = 10, .files = 1}).write("first");
  rotating_file again(path, {.max_bytes = 10, .files = 1});
  again.write("+");
  CHECK(folder.read("log") == "first+");
  again.write("much longer than ten bytes");
  CHECK(folder.read("log") == "much longer than ten bytes");
}
