/// Packs files of an environment into one file of bytes that depend on their content alone, and
/// unpacks what another process packed, confined to one folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/runtime_env.hpp>

#include "core/descriptor.hpp"

namespace troupe::net {

/// What is in an archive lies in these two folders.
inline constexpr const char* packed_work = "work";
inline constexpr const char* packed_libraries = "lib";

struct packed_file {
  core::descriptor fd;  ///< of a file without a name
  std::string hash;
  std::uint64_t size = 0;
};

/// A tar archive, compressed by zstd, without times and owners. Throws `runtime_env_error` that
/// names the file: it is missing, cannot be read, is no file or folder, is a link that leads out of
/// the folder; or all together have more than `most_bytes`, or the disk is full.
packed_file pack_environment(const runtime_env& what, std::uint64_t most_bytes);

/// Unpacks into `folder`, which is made. Throws `runtime_env_error`: it is no archive of this form,
/// has more than `most_bytes`, or cannot be written. What comes out of the folder, by its name or
/// by a link, is refused.
void unpack_environment(int fd, const std::string& folder, std::uint64_t most_bytes);

/// Whether a symbolic link at `path` (relative, of normal names) with that target stays inside:
/// it is relative, climbs at its beginning only, and not above the first folder of `path`.
bool link_stays_inside(const std::string& path, const std::string& target);

}  // namespace troupe::net
