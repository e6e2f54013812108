#include "core/progress_line.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace troupe::core {

namespace {

constexpr std::size_t min_bar = 6;
constexpr std::size_t max_bar = 40;

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

/// Columns of a text, one for each character: good enough for labels and units.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

/// The first `width` characters.
std::string_view cut(std::string_view text, std::size_t width) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (begins_character(text[i]) && seen++ == width) return text.substr(0, i);
  }
  return text;
}

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

std::string format_rate(const progress_view& view) {
  const double time = seconds(view.elapsed);
  if (time <= 0 || view.done == 0) return "-/s";
  const double rate = static_cast<double>(view.done) / time;
  char text[32];
  std::snprintf(text, sizeof text, rate < 100 ? "%.1f/s" : "%.0f/s", rate);
  return text;
}

std::string format_count(const progress_view& view) {
  std::string text = std::to_string(view.done);
  if (view.total > 0) text += "/" + std::to_string(view.total);
  if (!view.unit.empty()) text += " " + std::string(view.unit);
  return text;
}

std::string bar(const progress_view& view, std::size_t width) {
  const std::size_t inner = width - 2;
  const std::size_t filled = std::min(
      inner, static_cast<std::size_t>(static_cast<double>(inner) * static_cast<double>(view.done) /
                                      static_cast<double>(view.total)));
  std::string text = "[" + std::string(filled, '=') + std::string(inner - filled, ' ') + "]";
  if (filled > 0 && filled < inner) text[filled] = '>';
  return text;
}

}  // namespace

std::string format_eta(const progress_view& view) {
  if (view.total == 0 || view.done == 0 || view.elapsed.count() <= 0) return "--:--";
  const std::size_t left = view.total > view.done ? view.total - view.done : 0;
  const double eta =
      seconds(view.elapsed) / static_cast<double>(view.done) * static_cast<double>(left);
  if (eta >= 100 * 3600) return "--:--";
  const auto whole = static_cast<long>(eta + 0.5);
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  }
  return text;
}

std::string progress_line(const progress_view& view, std::size_t width) {
  std::string facts = format_count(view);
  if (view.total > 0) {
    const std::size_t percent = std::min<std::size_t>(100, view.done * 100 / view.total);
    facts += "  " + std::to_string(percent) + "%";
  }
  facts += "  " + format_rate(view);
  if (view.total > 0) facts += "  ETA " + format_eta(view);
  if (view.failed > 0) facts += "  " + std::to_string(view.failed) + " failed";

  const std::size_t needed = columns(facts);
  if (needed >= width) return std::string(cut(facts, width));
  std::size_t left = width - needed;
  std::string line;
  if (!view.label.empty() && left > 4) {
    const std::string_view label = cut(view.label, left - 2);
    line += std::string(label) + "  ";
    left -= columns(label) + 2;
  }
  if (view.total > 0 && left >= min_bar + 2) line += bar(view, std::min(left - 2, max_bar)) + "  ";
  return line + facts;
}

}  // namespace troupe::core
