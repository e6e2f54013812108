// How arrays cross a process.
#include <cstdint>
#include <memory>
#include <vector>

#include <troupe/archive.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/gpu/memory.hpp>

#include "gpu/engine.hpp"

namespace troupe::gpu::detail {

void save(troupe::detail::output_archive& archive, const memory_ptr& what, std::size_t count,
          std::size_t element_size) {
  const std::size_t bytes = count * element_size;
  archive.put_count(count);
  if (bytes == 0) return;
  const auto staged = std::make_unique<std::byte[]>(bytes);
  download(what, staged.get(), bytes);
  archive.put_array(staged.get(), bytes, false);
}

loaded load(troupe::detail::input_archive& archive, std::size_t element_size,
            troupe::detail::name_view type) {
  const std::size_t count = archive.get_array_count(element_size, type);
  const std::size_t bytes = count * element_size;
  if (bytes == 0) return {nullptr, count};
  const std::span<const std::byte> content = archive.get_array(bytes, type);
  memory_ptr made = allocate(bytes);
  upload(made, content.data(), bytes);
  return {std::move(made), count};
}

}  // namespace troupe::gpu::detail
