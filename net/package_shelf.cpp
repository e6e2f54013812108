#include "net/package_shelf.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "net/pack.hpp"

namespace troupe::net {

message refuse_piece(const package_wanted& what, std::string why) {
  return pack(package_piece{what.hash, what.offset, std::move(why)});
}

message read_piece(int fd, const package_wanted& what) {
  std::vector<std::byte> bytes(package_piece_bytes);
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + size, bytes.size() - size,
                                static_cast<off_t>(what.offset + size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return refuse_piece(what, std::string("it cannot be read: ") + std::strerror(errno));
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  message result = pack(package_piece{what.hash, what.offset, {}});
  result.attachments.emplace_back(std::move(bytes));
  return result;
}

void package_shelf::put(const std::string& hash, core::descriptor file) {
  const std::lock_guard guard(mutex_);
  files_.try_emplace(hash, std::move(file));
}

void package_shelf::on(endpoint& net, process_id from, const package_wanted& what) const {
  const std::lock_guard guard(mutex_);
  const auto at = files_.find(what.hash);
  net.send(from, at == files_.end() ? refuse_piece(what, "the program does not have it")
                                    : read_piece(at->second.get(), what));
}

}  // namespace troupe::net
