/// Entities and relations that a passage speaks of, found by the shape of its words.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace document_index {

enum class entity_kind : std::uint8_t { name, organisation, licence, email, url, year };

const char* to_string(entity_kind kind);

struct entity {
  entity_kind kind = entity_kind::name;
  std::string text;

  auto operator<=>(const entity&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(kind, text);
  }
};

/// "Valgrind", "is", "a framework"; "Free Software Foundation", "holds copyright from", "2007".
struct relation {
  std::string subject;
  std::string verb;
  std::string object;

  auto operator<=>(const relation&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(subject, verb, object);
  }
};

struct passage_facts {
  std::vector<entity> entities;     ///< each once, in the order of their first mention
  std::vector<relation> relations;  ///< each once

  template <class Archive>
  void serialize(Archive& archive) {
    archive(entities, relations);
  }
};

/// Of the passages of a batch, in their order.
struct batch_facts {
  std::vector<passage_facts> passages;
  std::string node;  ///< that found them

  template <class Archive>
  void serialize(Archive& archive) {
    archive(passages, node);
  }
};

/// `document` is what "this program" means in the text: the subject of relations that name none.
passage_facts extract_facts(std::string_view text, std::string_view document);

/// What the text of a file is about: its package in a folder of documentation, else its own name.
std::string document_of(std::string_view path);

}  // namespace document_index
