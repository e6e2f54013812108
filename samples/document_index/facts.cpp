#include "facts.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "mentions.hpp"
#include "terms.hpp"
#include "text.hpp"

namespace document_index {

const char* to_string(entity_kind kind) {
  switch (kind) {
    case entity_kind::name:
      return "name";
    case entity_kind::organisation:
      return "organisation";
    case entity_kind::licence:
      return "licence";
    case entity_kind::email:
      return "e-mail";
    case entity_kind::url:
      return "url";
    case entity_kind::year:
      return "year";
  }
  return "unknown";
}

namespace {

struct verb_pattern {
  std::string_view words;  ///< as they stand between two entities
  std::string_view verb;   ///< as the relation says it
};

constexpr std::string_view licensed = "is licensed under";

// The first that stands in the text counts.
constexpr std::array<verb_pattern, 20> verb_patterns = {{
    {"licensed under", licensed},
    {"released under", licensed},
    {"distributed under", licensed},
    {"available under", licensed},
    {"covered by", licensed},
    {"under the terms of", licensed},
    {"copyrighted by", "is copyrighted by"},
    {"published by", "is published by"},
    {"written by", "is written by"},
    {"developed by", "is developed by"},
    {"maintained by", "is maintained by"},
    {"created by", "is created by"},
    {"contributed by", "is contributed by"},
    {"distributed by", "is distributed by"},
    {"derived from", "is derived from"},
    {"based on", "is based on"},
    {"part of", "is part of"},
    {"compatible with", "is compatible with"},
    {"supersedes", "supersedes"},
    {"supports", "supports"},
}};

constexpr std::array<std::string_view, 24> phrase_ends = {
    "and", "are", "as", "at", "but",  "by", "for",  "from",  "has",  "if",    "in",    "intended",
    "is",  "of",  "on", "or", "that", "to", "used", "using", "when", "where", "which", "with"};
static_assert(std::is_sorted(phrase_ends.begin(), phrase_ends.end()));

constexpr std::size_t longest_link = 12;  // words between two entities of one relation

bool is_article(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

/// The relations of one sentence.
class relation_finder {
 public:
  relation_finder(const std::vector<token>& words, const std::vector<mention>& mentions,
                  std::string_view document)
      : words_(words), mentions_(mentions), document_(document) {}

  std::vector<relation> find() {
    find_copyrights();
    find_verbs();
    find_definitions();
    return std::move(found_);
  }

 private:
  static bool can_act(const entity& what) {
    return what.kind == entity_kind::name || what.kind == entity_kind::organisation ||
           what.kind == entity_kind::licence;
  }

  /// "copyright (c) 1989, 1991 NAME": each year in the notice belongs to the next name in it.
  void find_copyrights() {
    for (std::size_t at = 0; at < words_.size(); ++at) {
      if (lower_case(words_[at].text) != "copyright") continue;
      std::size_t next = at + 1;
      while (next < words_.size() && is_notice_part(words_[next].text)) ++next;
      const auto holder =
          std::find_if(mentions_.begin(), mentions_.end(), [&](const mention& candidate) {
            return candidate.begin == next && can_act(candidate.what);
          });
      if (holder == mentions_.end()) continue;
      for (std::size_t year = at + 1; year < next; ++year) {
        if (is_year(words_[year].text)) {
          found_.push_back(
              {holder->what.text, "holds copyright from", std::string(words_[year].text)});
        }
      }
    }
  }
  static bool is_notice_part(std::string_view word) {
    return word == "(c)" || word == "by" || is_year(word);
  }

  /// A verb pattern between two entities, or between the document itself and an entity.
  void find_verbs() {
    for (std::size_t right = 0; right < mentions_.size(); ++right) {
      const mention& object = mentions_[right];
      if (!can_act(object.what)) continue;
      const std::size_t from = right == 0 ? 0 : mentions_[right - 1].end;
      const std::size_t begin = std::max(from, object.begin - std::min(object.begin, longest_link));
      const std::string link = joined(begin, object.begin);
      for (const verb_pattern& pattern : verb_patterns) {
        if (link.find(pattern.words) == std::string::npos) continue;
        if (pattern.verb == licensed && object.what.kind != entity_kind::licence) continue;
        add(subject_of(right, pattern.verb), pattern.verb, object.what.text);
        break;
      }
    }
  }

  /// The entity before, or the document: it is what a licence's short name before speaks of, too.
  std::string_view subject_of(std::size_t object, std::string_view verb) const {
    if (object == 0) return document_;
    const entity& before = mentions_[object - 1].what;
    const bool is_short_name = before.kind == entity_kind::licence && verb == licensed;
    return can_act(before) && !is_short_name ? std::string_view(before.text) : document_;
  }

  /// "X is a Y": X is the word or name before "is", Y the words up to the end of the phrase.
  void find_definitions() {
    for (std::size_t is = 1; is + 2 < words_.size(); ++is) {
      if (words_[is].text != "is" || words_[is - 1].ends_phrase) continue;
      if (!is_article(words_[is + 1].text) || words_[is + 1].ends_phrase) continue;
      const std::string subject = subject_before(is);
      if (subject.empty()) continue;
      std::size_t end = is + 2;
      while (end < words_.size() && end < is + 8 && !words_[end - 1].ends_phrase &&
             !std::binary_search(phrase_ends.begin(), phrase_ends.end(), words_[end].text)) {
        ++end;
      }
      if (end > is + 2) add(subject, "is", joined(is + 1, end));
    }
  }
  std::string subject_before(std::size_t is) const {
    for (const mention& candidate : mentions_) {
      if (candidate.end == is && can_act(candidate.what)) return candidate.what.text;
    }
    const std::string_view word = words_[is - 1].text;
    const bool proper = word.size() > 2 && is_upper(word[0]) && !is_stop_word(lower_case(word));
    // "the Library is a ..." speaks of any library; a proper noun has no article.
    const bool common = is > 1 && is_stop_word(lower_case(words_[is - 2].text));
    return proper && !common ? printable(word) : std::string();
  }

  std::string joined(std::size_t begin, std::size_t end) const {
    std::string text;
    for (std::size_t at = begin; at < end; ++at) {
      if (!text.empty()) text += ' ';
      text += words_[at].text;
    }
    return printable(text);
  }
  void add(std::string_view subject, std::string_view verb, std::string_view object) {
    if (subject.empty() || subject == object) return;
    found_.push_back({std::string(subject), std::string(verb), std::string(object)});
  }

  const std::vector<token>& words_;
  const std::vector<mention>& mentions_;
  std::string_view document_;
  std::vector<relation> found_;
};

template <class T>
void add_once(std::vector<T>& to, T value) {
  if (std::find(to.begin(), to.end(), value) == to.end()) to.push_back(std::move(value));
}

}  // namespace

passage_facts extract_facts(std::string_view text, std::string_view document) {
  passage_facts facts;
  for (const std::string_view sentence : sentences_of(text)) {
    const std::vector<token> words = tokens_of(sentence);
    std::vector<mention> mentions = mentions_of(words);
    for (relation& found : relation_finder(words, mentions, document).find()) {
      add_once(facts.relations, std::move(found));
    }
    for (mention& found : mentions) add_once(facts.entities, std::move(found.what));
  }
  return facts;
}

std::string document_of(std::string_view path) {
  constexpr std::string_view folder = "/doc/";
  if (const std::size_t at = path.find(folder); at != path.npos) {
    const std::string_view rest = path.substr(at + folder.size());
    if (const std::size_t slash = rest.find('/'); slash != rest.npos) {
      return printable(rest.substr(0, slash));
    }
  }
  return printable(path.substr(path.rfind('/') + 1));
}

}  // namespace document_index
