#include "graph.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "terms.hpp"

namespace document_index {

namespace {

/// By count; those of equal count in the order of what they are.
template <class Counted>
bool is_before(const Counted& a, const Counted& b) {
  return a.passages != b.passages ? a.passages > b.passages : a.what < b.what;
}

/// How many of the stems a relation says.
std::size_t stems_said(const relation& by, const std::vector<std::string>& stems) {
  const auto said = stems_of(by.subject + ' ' + by.verb + ' ' + by.object);
  return static_cast<std::size_t>(
      std::count_if(stems.begin(), stems.end(), [&](const std::string& each) {
        return std::find(said.begin(), said.end(), each) != said.end();
      }));
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
                                                  const std::string& query, std::size_t top) const {
  const std::vector<std::string> stems = stems_of(query);
  std::set<relation> seen;
  std::vector<std::pair<std::size_t, counted_relation>> found;
  for (const std::string& name : names) {
    const auto edges = edges_of_.find(name);
    if (edges == edges_of_.end()) continue;
    for (const edge& at : edges->second) {
      if (!seen.insert(at->first).second) continue;
      found.push_back({stems_said(at->first, stems), {at->first, at->second}});
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : is_before(a.second, b.second);
  });
  std::vector<counted_relation> best;
  for (auto& [said, each] : found) {
    if (best.size() < top) best.push_back(std::move(each));
  }
  return best;
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
  std::sort(found.begin(), found.end(), is_before<counted_entity>);
  if (found.size() > top) found.resize(top);
  return found;
}

}  // namespace document_index
