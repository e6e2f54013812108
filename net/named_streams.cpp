#include "net/named_streams.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ext/stdio_sync_filebuf.h>
#include <iostream>
#include <mutex>
#include <string_view>

#include <troupe/log.hpp>

#include "net/output_lines.hpp"

namespace troupe::net {
namespace {

std::string (*printer_of_line)() = nullptr;
// Of each stream: a line longer than a pipe takes at once must not be torn apart by another.
auto& write_mutexes = *new std::array<std::mutex, 3>;

void write_line(int fd, std::string_view text) {
  std::string name = printer_of_line();
  if (name.size() > longest_printer_name) name.resize(longest_printer_name);
  std::string line;
  line.reserve(name.size() + text.size() + 3);
  if (!name.empty()) {
    // A name with control characters would break the form; none has, but by a user's option.
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return c < 0x20; }, '?');
    line.append(1, name_begins).append(name).append(1, name_ends);
  }
  line.append(text).append(1, '\n');
  const std::lock_guard guard(write_mutexes[static_cast<std::size_t>(fd)]);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t put = ::write(fd, rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;  // The node is gone, and this process soon.
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
}

// What the thread prints when the lines below are gone is written as it comes.
thread_local bool thread_ends = false;

/// The lines that a thread has begun.
struct begun_lines {
  std::array<std::string, 3> of;  // by descriptor
  ~begun_lines() {
    thread_ends = true;
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      const std::string& rest = of[static_cast<std::size_t>(fd)];
      if (!rest.empty()) write_line(fd, rest);
    }
  }
};
thread_local begun_lines begun;

template <int Fd>
ssize_t take(void*, const char* bytes, std::size_t size) {
  if (thread_ends) {
    write_line(Fd, std::string_view(bytes, size));
    return static_cast<ssize_t>(size);
  }
  std::string& line = begun.of[Fd];
  std::string_view rest(bytes, size);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::size_t room = output_lines::longest_line - longest_printer_name - 2 - line.size();
    const std::size_t part = std::min({end, room, rest.size()});
    line.append(rest.substr(0, part));
    rest.remove_prefix(part);
    const bool whole = !rest.empty() && rest.front() == '\n';
    if (whole) rest.remove_prefix(1);
    if (!whole && part < room) break;
    write_line(Fd, line);
    line.clear();
  }
  return static_cast<ssize_t>(size);
}

template <int Fd>
std::FILE* open_stream() {
  cookie_io_functions_t functions{};
  functions.write = &take<Fd>;
  std::FILE* const made = ::fopencookie(nullptr, "w", functions);
  // Threads share a stream: what one has printed must not wait in it for another's line end.
  if (made != nullptr) std::setvbuf(made, nullptr, _IONBF, 0);
  return made;
}

}  // namespace

void name_output_lines(std::string (*printer)()) {
  std::FILE* const out = open_stream<STDOUT_FILENO>();
  std::FILE* const err = open_stream<STDERR_FILENO>();
  if (out == nullptr || err == nullptr) {
    log::warn("what this worker prints goes to its driver without names: ", std::strerror(errno));
    return;
  }
  printer_of_line = printer;
  std::fflush(stdout);
  std::cout.flush();
  stdout = out;
  stderr = err;
  using buffer = __gnu_cxx::stdio_sync_filebuf<char>;
  // They live as long as the process: the streams are used until its last thread has ended.
  static auto& to_out = *new buffer(out);
  static auto& to_err = *new buffer(err);
  std::cout.rdbuf(&to_out);
  std::cerr.rdbuf(&to_err);
  std::clog.rdbuf(&to_err);
}

}  // namespace troupe::net
