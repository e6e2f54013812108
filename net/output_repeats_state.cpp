#include "net/output_repeats_state.hpp"

namespace troupe::net {

void output_repeats_state::add(time now, shown_line line, std::vector<shown_line>& show) {
  tick(now, show);
  const key of{line.error, line.text};
  const auto known = open_.find(of);
  if (known == open_.end()) {
    if (open_.size() == most_open) close_oldest(show);
    open_.emplace(of, open_line{line.pid, line.node, now + window_, 0, {}});
    order_.push_back(of);
    show.push_back(std::move(line));
    return;
  }
  open_line& open = known->second;
  if (open.pid == line.pid && open.node == line.node) {
    show.push_back(std::move(line));
    return;
  }
  ++open.repeats;
  open.last = std::move(line);
}

void output_repeats_state::tick(time now, std::vector<shown_line>& show) {
  while (!order_.empty() && open_.at(order_.front()).until <= now) close_oldest(show);
}

void output_repeats_state::finish(std::vector<shown_line>& show) {
  while (!order_.empty()) close_oldest(show);
}

std::optional<output_repeats_state::time> output_repeats_state::next() const {
  if (order_.empty()) return std::nullopt;
  return open_.at(order_.front()).until;
}

void output_repeats_state::close_oldest(std::vector<shown_line>& show) {
  const auto at = open_.find(order_.front());
  order_.pop_front();
  if (at->second.repeats > 0) {
    show.push_back(std::move(at->second.last));
    // One that came once more is simply that line.
    show.back().repeats = at->second.repeats > 1 ? at->second.repeats : 0;
  }
  open_.erase(at);
}

std::string to_text(const shown_line& line) {
  std::string text = "(";
  if (!line.name.empty()) text += line.name + ' ';
  text += "pid=" + std::to_string(line.pid) + " node=" + line.node + ") " + line.text;
  if (line.repeats > 0) {
    text += " [repeated " + std::to_string(line.repeats) + "x across cluster]";
  }
  return text;
}

}  // namespace troupe::net
