// Looks for the nearest neighbours of some vectors among many, by comparing all of them.
//
// Notice when it runs: where there is a GPU the vectors go there once, two kernels are two tasks of
// which one takes the other's ref, and no thread waits in between; the answer is the same to the
// last bit as that of tasks on CPUs. Where there is none the program says why, and the CPUs search
// alone. It is the same program.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include <troupe/troupe.hpp>

#include "search.hpp"
#ifdef SAMPLE_WITH_GPU
#include <troupe/gpu/device.hpp>
#endif

namespace {

vectors make(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  vectors made;
  made.values.resize(count * vectors::dimensions);
  for (std::uint8_t& value : made.values) value = static_cast<std::uint8_t>(random() >> 24);
  return made;
}

template <class F>
answers timed(const char* who, std::size_t comparisons, F&& search) {
  const auto begin = std::chrono::steady_clock::now();
  answers found = search();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << who << ": " << took.count() * 1e3 << " ms, "
            << static_cast<double>(comparisons) / took.count() / 1e6 << " M comparisons/s\n";
  return found;
}

/// Why there is no GPU; empty when there is one.
std::string no_gpu() {
#ifdef SAMPLE_WITH_GPU
  return troupe::gpu::why_no_device();
#else
  return "this program was built without a CUDA toolkit";
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  const std::size_t count =
      argc > 1 && argv[1][0] != '-' ? std::strtoul(argv[1], nullptr, 10) : 20'000;
  const vectors base = make(count, 1);
  vectors queries = make(32, 2);
  // Queries that are vectors of the base: each is its own nearest neighbour.
  for (int i = 0; i < vectors::dimensions; ++i) queries.values[i] = base.values[i];
  const std::size_t comparisons = base.size() * queries.size();

  const answers by_cpu = timed("CPU", comparisons, [&] { return search_by_cpu(base, queries); });
  bool right = by_cpu.size() == queries.size() * wanted && by_cpu.front() == 0;
  if (const std::string why = no_gpu(); !why.empty()) {
    std::cout << "no GPU (" << why << "): the CPUs search alone\n";
  } else {
#ifdef SAMPLE_WITH_GPU
    search_by_gpu(base, queries);  // the first time loads the kernels
    const answers by_gpu = timed("GPU", comparisons, [&] { return search_by_gpu(base, queries); });
    std::cout << "GPU and CPU " << (by_gpu == by_cpu ? "agree" : "DISAGREE") << "\n";
    right = right && by_gpu == by_cpu;
#endif
  }
  std::cout << "nearest to the second query: vector " << (by_cpu[wanted] & 0xffff'ffff)
            << " at squared distance " << (by_cpu[wanted] >> 32) << "\n";
  return right ? 0 : 1;
}
