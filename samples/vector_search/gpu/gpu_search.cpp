#include <troupe/gpu.hpp>
#include <troupe/troupe.hpp>

#include "kernels.hpp"
#include "search.hpp"

namespace gpu = troupe::gpu;

answers search_by_gpu(const vectors& base, const vectors& queries) {
  const int parts = 64;
  const auto count = static_cast<unsigned>(queries.size());
  const gpu::array<std::uint8_t> base_there = gpu::to_device(base.values);
  const gpu::array<std::uint8_t> queries_there = gpu::to_device(queries.values);

  // Two tasks. The second takes the ref of the first, and is in the device's queue at once.
  const auto found =
      gpu::launch<search_part>(dim3(parts, count), dim3(threads_of_a_block),
                               gpu::out<std::uint64_t>(queries.size() * parts * wanted), base_there,
                               queries_there, static_cast<std::uint32_t>(base.size()));
  const auto best =
      gpu::launch<merge_parts>(dim3(count), dim3(threads_of_a_block),
                               gpu::out<std::uint64_t>(queries.size() * wanted), found, parts);
  return troupe::get(gpu::to_host(best));
}
