#include "graph.hpp"

#include <algorithm>
#include <set>

namespace document_index {

namespace {

/// The `top` first ones by count; those of equal count in the order of what they are.
template <class Counted>
void keep_top(std::vector<Counted>& all, std::size_t top) {
  std::sort(all.begin(), all.end(), [](const Counted& a, const Counted& b) {
    return a.passages != b.passages ? a.passages > b.passages : a.what < b.what;
  });
  if (all.size() > top) all.resize(top);
}

}  // namespace

std::vector<std::uint32_t> entity_graph::add(const passage_facts& facts) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(facts.entities.size());
  for (const entity& found : facts.entities) {
    const auto next = static_cast<std::uint32_t>(nodes_.size());
    const auto [at, is_new] = numbers_.try_emplace(found, next);
    if (is_new) nodes_.push_back({found, 0});
    ++nodes_[at->second].passages;
    numbers.push_back(at->second);
  }
  for (const relation& found : facts.relations) {
    const auto [at, is_new] = edges_.try_emplace(found, 0);
    ++at->second;
    if (!is_new) continue;
    edges_of_[found.subject].push_back(at);
    if (found.object != found.subject) edges_of_[found.object].push_back(at);
  }
  return numbers;
}

std::vector<counted_relation> entity_graph::about(const std::vector<std::string>& names,
                                                  std::size_t top) const {
  std::set<relation> seen;
  std::vector<counted_relation> found;
  for (const std::string& name : names) {
    const auto edges = edges_of_.find(name);
    if (edges == edges_of_.end()) continue;
    for (const edge& at : edges->second) {
      if (seen.insert(at->first).second) found.push_back({at->first, at->second});
    }
  }
  keep_top(found, top);
  return found;
}

std::vector<counted_entity> entity_graph::most_mentioned(std::size_t top) const {
  std::vector<counted_entity> found;
  for (const counted_entity& node : nodes_) {
    const entity_kind kind = node.what.kind;
    if (kind == entity_kind::name || kind == entity_kind::organisation ||
        kind == entity_kind::licence) {
      found.push_back(node);
    }
  }
  keep_top(found, top);
  return found;
}

}  // namespace document_index
