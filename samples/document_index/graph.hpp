/// The entities of all passages and the relations between them, counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "facts.hpp"

namespace document_index {

struct counted_entity {
  entity what;
  std::uint32_t passages = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(what, passages);
  }
};

struct counted_relation {
  relation what;
  std::uint32_t passages = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(what, passages);
  }
};

/// Thread-compatible.
class entity_graph {
 public:
  /// Adds what one passage says. Returns the numbers of its entities.
  std::vector<std::uint32_t> add(const passage_facts& facts);

  const entity& at(std::uint32_t number) const { return nodes_[number].what; }
  std::size_t entities() const { return nodes_.size(); }
  std::size_t relations() const { return edges_.size(); }

  /// The relations from or to something of these names. Those that say most words of the query come
  /// first, then those that most passages tell.
  std::vector<counted_relation> about(const std::vector<std::string>& names,
                                      const std::string& query, std::size_t top) const;
  /// The names, organisations and licences that most passages mention.
  std::vector<counted_entity> most_mentioned(std::size_t top) const;

 private:
  using edge = std::map<relation, std::uint32_t>::const_iterator;

  std::vector<counted_entity> nodes_;
  std::map<entity, std::uint32_t> numbers_;
  std::map<relation, std::uint32_t> edges_;
  std::unordered_map<std::string, std::vector<edge>> edges_of_;
};

}  // namespace document_index
