// Uses devices where there are any, and runs where there are none.
#include <iostream>

#include <troupe/gpu.hpp>
#include <troupe/troupe.hpp>

int main() {
  const auto session = troupe::init({.num_cpus = 1});
  std::cout << "devices: " << troupe::gpu::device_count() << "\n";
  try {
    const auto there = troupe::gpu::to_device(std::vector<int>{1, 2, 3});
    return troupe::gpu::to_host(there).at(2) == 3 ? 0 : 1;
  } catch (const troupe::gpu::no_device_error& error) {
    std::cout << error.what() << "\n";
    return troupe::gpu::device_count() == 0 ? 0 : 1;
  }
}
