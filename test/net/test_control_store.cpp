// The head's store on a disk.
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "net/control_store.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe;
using namespace troupe::net;
using namespace troupe::test;

namespace {

store_change dead(process_id who, const std::string& cause = "signal 9") {
  return put_row(store_table::dead, key_of(who), cause, process_died{who, cause, false}, true);
}

void run_sql(const std::string& path, const char* sql) {
  sqlite3* base = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &base) == SQLITE_OK);
  CHECK(sqlite3_exec(base, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(base);
}

std::string why_not(const std::string& path) {
  return message_of<store_error>([&] {
    const control_store store(path);
    static_cast<void>(store.read());
  });
}

}  // namespace

TEST_CASE("what is committed is there when the store is opened again, and what is removed is not") {
  const temp_folder folder;
  const std::string path = folder / "store";
  {
    control_store store(path);
    store.commit({dead(1), dead(2), put_row(store_table::meta, "next_job", {}, job_id{7})});
    store.commit({remove_row(store_table::dead, key_of(process_id{1})), dead(2, "exit code 3")});
  }
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 077) == 0);
  control_store store(path);
  const stored_cluster known = store.read();
  REQUIRE(known.dead.size() == 1);
  CHECK(known.dead[0].process == 2);
  CHECK(known.dead[0].cause == "exit code 3");
  CHECK(known.next_job == 7);
  store.clear();
  CHECK(store.read().dead.empty());
}

TEST_CASE("a store that cannot be used says why, and what to do") {
  const temp_folder folder;
  const std::string path = folder / "store";
  {
    control_store store(path);
    store.commit({dead(1)});
    CHECK_THAT(why_not(path), contains("does a head run with this store already?"));
  }
  SECTION("of another version") {
    run_sql(path, "PRAGMA user_version=1");
    CHECK_THAT(why_not(path), contains("an older troupe") && contains("move the file away"));
    run_sql(path, "PRAGMA user_version=1000");
    CHECK_THAT(why_not(path), contains("a newer troupe (version 1000"));
  }
  SECTION("of another program") {
    run_sql(path, "PRAGMA application_id=5");
    CHECK_THAT(why_not(path), contains("of another program"));
  }
  SECTION("damaged") {
    std::ofstream(path, std::ios::trunc) << std::string(10'000, 'x');
    CHECK_THAT(why_not(path), contains(path) && contains("damaged"));
  }
  SECTION("damaged in the middle") {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(8'192, '\xff');
    file.close();
    CHECK_THAT(why_not(path), contains("damaged"));
  }
  SECTION("with a row that is none") {
    run_sql(path, "UPDATE dead SET body = x'00'");
    CHECK_THAT(why_not(path), contains("'dead'") && contains("cannot be read"));
  }
  SECTION("that others may read") {
    ::chmod(path.c_str(), 0644);
    CHECK_THAT(why_not(path), contains("chmod 600"));
  }
  SECTION("that is a folder, or nowhere") {
    CHECK_THAT(why_not(folder.path().string()), contains("--store"));
    CHECK_THAT(why_not("/no/such/folder/store"), contains("--store"));
  }
}

TEST_CASE("the writer tells of each commit in order, and joins what has queued") {
  const temp_folder folder;
  control_store store(folder / "store");
  std::vector<int> told;
  {
    store_writer writer(store);
    for (int i = 0; i < 1'000; ++i) {
      writer.commit({dead(static_cast<process_id>(i + 1))}, [&told, i] { told.push_back(i); });
    }
  }
  REQUIRE(told.size() == 1'000);
  CHECK(std::is_sorted(told.begin(), told.end()));
  CHECK(store.read().dead.size() == 1'000);
}

TEST_CASE("a store without room holds what it is given until there is room, and says so") {
  const temp_folder folder;
  control_store store(folder / "store");
  store_writer writer(store);
  // A file may not grow beyond this: as on a disk that is full.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little{64 << 10, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &little);
  std::promise<void> stored;
  writer.commit({dead(1, std::string(1 << 20, 'x'))}, [&stored] { stored.set_value(); });
  const bool told = eventually([&] { return !writer.problem().empty(); });
  const std::string problem = writer.problem();
  auto is_stored = stored.get_future();
  const bool early = is_stored.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  ::setrlimit(RLIMIT_FSIZE, &before);
  CHECK(told);
  CHECK_THAT(problem, contains("Is the disk full?"));
  CHECK_FALSE(early);
  REQUIRE(is_stored.wait_for(patience) == std::future_status::ready);
  CHECK(writer.problem().empty());
  CHECK(store.read().dead.size() == 1);
}
