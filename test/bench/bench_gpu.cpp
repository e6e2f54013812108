// Device work beside the bare CUDA calls that it stands for.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/gpu.hpp>
#include <troupe/troupe.hpp>

#include "test/bench/bench.hpp"
#include "test/bench/gpu_kernels.hpp"
#include "test/bench/nodes.hpp"

namespace troupe::bench {

// Not in a nameless namespace: they are called by name in the workers.
struct array_maker {
  gpu::array<std::byte> make(std::size_t bytes) {
    made = gpu::array<std::byte>(bytes);
    return made;
  }
  gpu::array<std::byte> made;
};
struct array_reader {
  /// Opens it; the device itself does nothing.
  bool touch(gpu::array<std::byte> what) { return what.data() != nullptr; }
  bool none(int) { return true; }
};

namespace {

/// Whether there is a device; else says so, in place of figures.
bool has_device(const char* name) {
  if (gpu::device_count() > 0) return true;
  std::fprintf(stderr, "%s: skipped, there is no GPU: %s\n", name, gpu::why_no_device().c_str());
  return false;
}

std::string device_name() { return gpu::devices().at(0).name; }

void check(cudaError_t code) {
  if (code != cudaSuccess) throw std::runtime_error(cudaGetErrorString(code));
}

/// A stream that is not troupe's.
struct bare_stream {
  bare_stream() { check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)); }
  ~bare_stream() { cudaStreamDestroy(stream); }
  void wait() const { check(cudaStreamSynchronize(stream)); }
  void launch(int* to) const {
    void* arguments[] = {&to};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(&bench_nothing), dim3(1), dim3(1),
                           arguments, 0, stream));
  }
  cudaStream_t stream = nullptr;
};

constexpr int kernels = 2'000;

// One after the other, each waited for: what a task adds to a launch and its wait.
std::vector<figure> task() {
  if (!has_device("gpu_task")) return {};
  const gpu::array<int> to(1);
  const bare_stream bare;
  const auto times = alternate(
      7,
      [&] {
        return seconds([&] {
                 for (int i = 0; i < kernels; ++i) get(gpu::launch<bench_nothing>(1, 1, to));
               }) /
               kernels * 1e6;
      },
      [&] {
        return seconds([&] {
                 for (int i = 0; i < kernels; ++i) {
                   bare.launch(to.data());
                   bare.wait();
                 }
               }) /
               kernels * 1e6;
      });
  return {{"gpu_task", times.value, "us", false, "bare launch and synchronise", times.peer,
           device_name()},
          {"gpu_task_overhead", times.value - times.peer, "us", false, "", 0, "goal: under 5"}};
}

// A chain, of which only the end is waited for.
std::vector<figure> chain() {
  if (!has_device("gpu_chain")) return {};
  const gpu::array<int> to(1);
  const bare_stream bare;
  const auto times = alternate(
      7,
      [&] {
        return seconds([&] {
                 object_ref<gpu::array<int>> last = gpu::launch<bench_nothing>(1, 1, gpu::out(to));
                 for (int i = 1; i < kernels; ++i) {
                   last = gpu::run_named(
                       "bench_nothing",
                       [](const gpu::stream& on, const gpu::array<int>& one) {
                         gpu::enqueue<bench_nothing>(on, gpu::shape{1, 1}, one);
                         return one;
                       },
                       last);
                 }
                 get(last);
               }) /
               kernels * 1e6;
      },
      [&] {
        return seconds([&] {
                 for (int i = 0; i < kernels; ++i) bare.launch(to.data());
                 bare.wait();
               }) /
               kernels * 1e6;
      });
  return {{"gpu_chain", times.value, "us", false, "bare launches", times.peer, device_name()},
          {"gpu_chain_overhead", times.value - times.peer, "us", false, "", 0, "goal: under 1"}};
}

std::vector<figure> graph() {
  if (!has_device("gpu_graph")) return {};
  const gpu::array<int> to(1);
  const gpu::graph recorded([&](const gpu::stream& on) {
    for (int i = 0; i < 100; ++i) gpu::enqueue<bench_nothing>(on, gpu::shape{1, 1}, to);
  });
  const bare_stream bare;
  const auto times = alternate(
      7, [&] { return seconds([&] { get(recorded.launch()); }) * 1e6; },
      [&] {
        return seconds([&] {
                 for (int i = 0; i < 100; ++i) bare.launch(to.data());
                 bare.wait();
               }) *
               1e6;
      });
  return {{"gpu_graph", times.value, "us", false, "its 100 launches", times.peer, device_name()}};
}

constexpr std::size_t copied = std::size_t{256} << 20;

// GB/s from pinned memory, beside the bare copy.
std::vector<figure> copies() {
  if (!has_device("gpu_copy_in")) return {};
  gpu::host_vector<std::byte> pinned(copied);
  std::vector<std::byte> plain(copied);
  const gpu::array<std::byte> there(copied);
  const bare_stream bare;
  const auto rate = [](auto&& copy) { return static_cast<double>(copied) / seconds(copy) / 1e9; };
  const auto bare_copy = [&](void* to, const void* from) {
    return rate([&] {
      check(cudaMemcpyAsync(to, from, copied, cudaMemcpyDefault, bare.stream));
      bare.wait();
    });
  };
  const auto in = alternate(
      5, [&] { return rate([&] { gpu::detail::upload(there.memory(), pinned.data(), copied); }); },
      [&] { return bare_copy(there.data(), pinned.data()); });
  const auto out = alternate(
      5, [&] { return rate([&] { gpu::copy_to_host(there, std::span<std::byte>(pinned)); }); },
      [&] { return bare_copy(pinned.data(), there.data()); });
  const auto plain_in = alternate(
      5, [&] { return rate([&] { gpu::detail::upload(there.memory(), plain.data(), copied); }); },
      [&] { return bare_copy(there.data(), plain.data()); });
  const std::string what = device_name();
  return {{"gpu_copy_in", in.value, "GB/s", true, "pinned cudaMemcpyAsync", in.peer, what},
          {"gpu_copy_out", out.value, "GB/s", true, "pinned cudaMemcpyAsync", out.peer, what},
          {"gpu_copy_in_pageable", plain_in.value, "GB/s", true, "pageable cudaMemcpyAsync",
           plain_in.peer, what}};
}

std::vector<figure> allocation() {
  if (!has_device("gpu_allocation")) return {};
  constexpr std::size_t bytes = std::size_t{1} << 20;
  const bare_stream bare;
  const auto times = alternate(
      7,
      [&] {
        return seconds([&] {
                 for (int i = 0; i < kernels; ++i) const gpu::array<std::byte> one(bytes);
               }) /
               kernels * 1e6;
      },
      [&] {
        return seconds([&] {
                 for (int i = 0; i < kernels; ++i) {
                   void* memory = nullptr;
                   check(cudaMallocAsync(&memory, bytes, bare.stream));
                   check(cudaFreeAsync(memory, bare.stream));
                 }
               }) /
               kernels * 1e6;
      });
  return {{"gpu_allocation", times.value, "us", false, "cudaMallocAsync and cudaFreeAsync",
           times.peer, device_name()}};
}

// A call whose argument is an array of another process, beside the same call with a number.
std::vector<figure> handoff() {
  if (!has_device("gpu_handoff")) return {};
  nodes::command("start --head --port 0 --num-cpus 2 --num-gpus 1 --node-name bench");
  nodes here;
  here.connect("auto");
  const auto alone = with({.num_gpus = 0.5, .isolation = isolation::process});
  const auto maker = alone.remote<array_maker>();
  const auto reader = alone.remote<array_reader>();
  constexpr int calls = 500;
  std::vector<figure> figures;
  for (const auto& [name, bytes] : {std::pair{"gpu_handoff", std::size_t{1} << 30},
                                    std::pair{"gpu_handoff_small", std::size_t{4} << 10}}) {
    const auto array = maker.remote<&array_maker::make>(bytes);
    get(reader.remote<&array_reader::touch>(array));
    const auto times = alternate(
        5,
        [&] {
          return seconds([&] {
                   for (int i = 0; i < calls; ++i) get(reader.remote<&array_reader::touch>(array));
                 }) /
                 calls * 1e6;
        },
        [&] {
          return seconds([&] {
                   for (int i = 0; i < calls; ++i) get(reader.remote<&array_reader::none>(i));
                 }) /
                 calls * 1e6;
        });
    figures.push_back({name, times.value, "us", false, "the call with a number", times.peer,
                       std::to_string(bytes) + " bytes, goal: under 100 us more"});
  }
  return figures;
}

const registered benchmarks[] = {
    {"gpu_task", task},      {"gpu_chain", chain},           {"gpu_graph", graph},
    {"gpu_copy_in", copies}, {"gpu_allocation", allocation}, {"gpu_handoff", handoff},
};

}  // namespace
}  // namespace troupe::bench
