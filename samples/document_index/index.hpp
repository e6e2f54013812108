/// The index: an actor that keeps passages, their vectors as an inverted index, and what they
/// mention.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <troupe/object_ref.hpp>

#include "facts.hpp"
#include "graph.hpp"
#include "passage.hpp"
#include "terms.hpp"

namespace document_index {

/// The name under which the index is found: `troupe::get_actor<passage_index>(index_name)`.
inline constexpr const char* index_name = "document_index";

struct hit {
  double score = 0;  ///< cosine of the angle between query and passage, 0 to 1
  std::string path;
  std::uint32_t number = 0;  ///< of the passage in its file
  std::uint32_t alike = 0;   ///< further passages with the same words, mostly
  std::string snippet;
  std::vector<entity> entities;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(score, path, number, alike, snippet, entities);
  }
};

struct answer {
  std::string query;
  std::vector<hit> hits;
  std::vector<counted_relation> related;  ///< what is known of the hits' entities

  template <class Archive>
  void serialize(Archive& archive) {
    archive(query, hits, related);
  }
};

struct index_size {
  std::size_t passages = 0;
  std::size_t terms = 0;
  std::size_t entities = 0;
  std::size_t relations = 0;
  std::vector<counted_entity> most_mentioned;
  std::map<std::string, std::size_t> passages_by_node;  ///< whose facts were found there

  template <class Archive>
  void serialize(Archive& archive) {
    archive(passages, terms, entities, relations, most_mentioned, passages_by_node);
  }
};

/// Passages are numbered in the order of their `add`, so that the same files give the same index.
class passage_index {
 public:
  /// `vectors` and `facts` are those of the batch's passages, in their order. The batch itself is
  /// kept as a ref: its text is not copied.
  void add(troupe::object_ref<batch> passages, const std::vector<sparse_vector>& vectors,
           const batch_facts& facts);

  /// The best passages; equal ones in the order of their paths. A text that stands in many files,
  /// perhaps with other line ends or from another word on, is one hit; so are neighbours in one
  /// file, which overlap.
  answer search(const sparse_vector& vector, const std::string& query, std::size_t top) const;

  index_size size() const;

 private:
  struct posting {
    std::uint32_t passage = 0;
    float weight = 0;
  };
  struct scored {
    float score = 0;
    std::uint32_t passage = 0;
  };
  /// A passage as the index keeps it: it lives in the object behind `batches_[batch]`.
  struct entry {
    const passage* what = nullptr;
    std::vector<std::uint32_t> entities;
  };

  std::vector<scored> score_all(const sparse_vector& vector) const;
  hit make_hit(const scored& found, const std::string& query) const;

  std::vector<troupe::object_view<batch>> batches_;
  std::vector<entry> entries_;
  std::vector<std::vector<posting>> postings_ = std::vector<std::vector<posting>>(dimensions);
  entity_graph graph_;
  std::map<std::string, std::size_t> passages_by_node_;
};

}  // namespace document_index
