#include <string>

#include "core/cpu_limits.hpp"
#include "test/support/catch.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe::core;
using troupe::test::temp_folder;

namespace {

constexpr int affinity = 8;

constexpr const char* v2_mount = "30 23 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n";

/// A machine with cgroup v2 alone and the process in /a/b.
void make_v2(const temp_folder& root) {
  root.write("proc/self/mountinfo", v2_mount);
  root.write("proc/self/cgroup", "0::/a/b\n");
}

void make_memory(const temp_folder& root) {
  root.write("proc/meminfo", "MemTotal:       1000000 kB\nMemFree:  1 kB\n");
}

}  // namespace

TEST_CASE("without cgroups the affinity is the number of CPUs") {
  const temp_folder root;
  const cpu_limits limits = read_cpu_limits(root.path(), affinity);
  CHECK(limits.affinity == affinity);
  CHECK_FALSE(limits.cgroup);
  CHECK(limits.cpus == affinity);
}

TEST_CASE("a quota of cgroup v2 is kept as a fraction") {
  const temp_folder root;
  make_v2(root);
  root.write("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
  const cpu_limits limits = read_cpu_limits(root.path(), affinity);
  CHECK(limits.cgroup == 1.5);
  CHECK(limits.cpus == 1.5);
}

TEST_CASE("the lowest quota among a cgroup and those above it counts") {
  const temp_folder root;
  make_v2(root);
  root.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  CHECK(read_cpu_limits(root.path(), affinity).cpus == 3);
  root.write("sys/fs/cgroup/a/b/cpu.max", "115000 100000\n");
  CHECK(read_cpu_limits(root.path(), affinity).cpus == 1.15);
}

TEST_CASE("a quota above the affinity does not add CPUs") {
  const temp_folder root;
  make_v2(root);
  root.write("sys/fs/cgroup/a/b/cpu.max", "1600000 100000\n");
  const cpu_limits limits = read_cpu_limits(root.path(), affinity);
  CHECK(limits.cgroup == 16.0);
  CHECK(limits.cpus == affinity);
}

TEST_CASE("with a quota below one CPU a default task still fits") {
  const temp_folder root;
  make_v2(root);
  root.write("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
  const cpu_limits limits = read_cpu_limits(root.path(), affinity);
  CHECK(limits.cgroup == 0.5);
  CHECK(limits.cpus == 1);
}

TEST_CASE("a quota of cgroup v1 counts, also where controllers share a mount") {
  const temp_folder root;
  root.write(
      "proc/self/mountinfo",
      "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n");
  root.write("proc/self/cgroup", "5:cpuset:/else\n4:cpu,cpuacct:/job\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK(read_cpu_limits(root.path(), affinity).cpus == 2.5);
}

TEST_CASE("on a hybrid machine the lower of v1 and v2 counts") {
  const temp_folder root;
  root.write("proc/self/mountinfo",
             "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
             "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  root.write("proc/self/cgroup", "1:cpu:/one\n0::/two\n");
  root.write("sys/fs/cgroup/cpu/one/cpu.cfs_quota_us", "400000\n");
  root.write("sys/fs/cgroup/cpu/one/cpu.cfs_period_us", "100000\n");
  CHECK(read_cpu_limits(root.path(), affinity).cpus == 4);
  root.write("sys/fs/cgroup/unified/two/cpu.max", "200000 100000\n");
  CHECK(read_cpu_limits(root.path(), affinity).cpus == 2);
}

TEST_CASE("a container that sees its own cgroup as the mount is limited by it") {
  const temp_folder root;
  root.write("proc/self/mountinfo",
             "33 31 0:30 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
  root.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  root.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  root.write("sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "200000\n");
  root.write("sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
  for (const auto& [cgroup, cpus] : {std::pair("/docker/abc", 3.0),
                                     {"/docker/abc/inner", 2.0},
                                     {"/", 3.0},
                                     {"/../other", 3.0}}) {
    CAPTURE(cgroup);
    root.write("proc/self/cgroup", std::string("1:cpu:") + cgroup + "\n");
    CHECK(read_cpu_limits(root.path(), affinity).cpus == cpus);
  }
}

TEST_CASE("a mount point with a blank is found") {
  const temp_folder root;
  root.write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/c\\040g rw - cgroup2 cgroup2 rw\n");
  root.write("proc/self/cgroup", "0::/\n");
  root.write("sys/fs/c g/cpu.max", "200000 100000\n");
  CHECK(read_cpu_limits(root.path(), affinity).cpus == 2);
}

TEST_CASE("cgroup files that hold nonsense limit nothing") {
  const temp_folder root;
  make_v2(root);
  root.write("proc/self/cgroup", "\n::\n0:\n0::/a/b\n");
  root.write("sys/fs/cgroup/a/b/cpu.max", "0 0\n");
  root.write("sys/fs/cgroup/a/cpu.max", "many\n");
  CHECK_FALSE(read_cpu_limits(root.path(), affinity).cgroup);
}

TEST_CASE("memory is what the machine has when no cgroup limits it") {
  const temp_folder root;
  make_memory(root);
  make_v2(root);
  root.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  const memory_limits limits = read_memory_limits(root.path());
  CHECK(limits.machine == 1'024'000'000);
  CHECK_FALSE(limits.cgroup);
  CHECK(limits.bytes == 1'024'000'000);
  CHECK(default_memory(limits) == 716'800'000);
}

TEST_CASE("the lowest memory limit of v1 and v2 and of the cgroups above counts") {
  const temp_folder root;
  make_memory(root);
  root.write("proc/self/mountinfo",
             "35 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
             "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  root.write("proc/self/cgroup", "4:memory:/job/task\n0::/two\n");
  root.write("sys/fs/cgroup/memory/job/task/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK_FALSE(read_memory_limits(root.path()).cgroup);
  root.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "500000000\n");
  CHECK(read_memory_limits(root.path()).bytes == 500'000'000);
  root.write("sys/fs/cgroup/unified/two/memory.max", "400000000\n");
  CHECK(read_memory_limits(root.path()).bytes == 400'000'000);
}

TEST_CASE("a memory limit above what the machine has adds none") {
  const temp_folder root;
  make_memory(root);
  make_v2(root);
  root.write("sys/fs/cgroup/a/memory.max", "5000000000\n");
  const memory_limits limits = read_memory_limits(root.path());
  CHECK(limits.cgroup == 5'000'000'000);
  CHECK(limits.bytes == limits.machine);
}

TEST_CASE("the limits of this machine can be read") {
  const cpu_limits cpus = read_cpu_limits();
  CHECK(cpus.affinity >= 1);
  CHECK(cpus.cpus >= 1);
  CHECK(cpus.cpus <= cpus.affinity);
  const memory_limits memory = read_memory_limits();
  CHECK(memory.bytes > 0);
  CHECK(memory.bytes <= memory.machine);
}
