#include "report.hpp"

#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include "text.hpp"

namespace document_index {

namespace {

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

double per_second(double amount, const totals& run) {
  return run.seconds > 0 ? amount / run.seconds : 0;
}

bool is_shown(const left_out_file& file, const report_options& options) {
  return options.list_left_out || file.why == omission::unreadable;
}

std::map<omission, std::size_t> count_left_out(const totals& run) {
  std::map<omission, std::size_t> counts;
  for (const left_out_file& file : run.left_out) ++counts[file.why];
  return counts;
}

/// A JSON string: `printable` has left no control characters and no broken UTF-8.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

void print_summary_as_json(const totals& run, const index_size& size,
                           const report_options& options) {
  for (const left_out_file& file : run.left_out) {
    if (!is_shown(file, options)) continue;
    std::cout << "{\"left_out\": " << quoted(file.path)
              << ", \"why\": " << quoted(to_string(file.why))
              << ", \"detail\": " << quoted(file.detail) << "}\n";
  }
  std::cout << "{\"files\": " << run.files << ", \"left_out_files\": " << run.left_out.size()
            << ", \"bytes\": " << run.bytes << ", \"passages\": " << size.passages
            << ", \"terms\": " << size.terms << ", \"entities\": " << size.entities
            << ", \"relations\": " << size.relations << ", \"seconds\": " << fixed(run.seconds, 3)
            << ", \"passages_per_second\": "
            << fixed(per_second(static_cast<double>(size.passages), run), 0) << "}\n";
}

void print_answer_as_json(const answer& found) {
  std::size_t rank = 0;
  for (const hit& each : found.hits) {
    std::cout << "{\"query\": " << quoted(found.query) << ", \"rank\": " << ++rank
              << ", \"score\": " << fixed(each.score, 4) << ", \"path\": " << quoted(each.path)
              << ", \"passage\": " << each.number << ", \"alike\": " << each.alike
              << ", \"snippet\": " << quoted(each.snippet) << ", \"entities\": [";
    const char* separator = "";
    for (const entity& what : each.entities) {
      std::cout << separator << "{\"kind\": " << quoted(to_string(what.kind))
                << ", \"text\": " << quoted(what.text) << '}';
      separator = ", ";
    }
    std::cout << "]}\n";
  }
  for (const counted_relation& each : found.related) {
    std::cout << "{\"query\": " << quoted(found.query)
              << ", \"subject\": " << quoted(each.what.subject)
              << ", \"verb\": " << quoted(each.what.verb)
              << ", \"object\": " << quoted(each.what.object) << ", \"passages\": " << each.passages
              << "}\n";
  }
}

/// Prints `text` in lines of at most 96 columns behind `indent`.
void print_wrapped(std::string_view text, std::string_view indent) {
  constexpr std::size_t columns = 96;
  while (!text.empty()) {
    std::size_t end = text.size();
    if (indent.size() + end > columns) {
      end = text.rfind(' ', columns - indent.size());
      if (end == std::string_view::npos || end == 0) end = text.find(' ', 1);
      if (end == std::string_view::npos) end = text.size();
    }
    std::cout << indent << text.substr(0, end) << '\n';
    text.remove_prefix(end);
    if (!text.empty()) text.remove_prefix(1);
  }
}

}  // namespace

void print_summary(const totals& run, const index_size& size, const report_options& options) {
  if (options.json) return print_summary_as_json(run, size, options);

  for (const left_out_file& file : run.left_out) {
    if (!is_shown(file, options)) continue;
    std::cout << "left out   " << printable(file.path) << ": "
              << (file.detail.empty() ? to_string(file.why) : printable(file.detail)) << '\n';
  }
  const double megabytes = static_cast<double>(run.bytes) / 1e6;
  std::cout << "files      " << run.files << " indexed, " << run.left_out.size() << " left out";
  const char* separator = " (";
  for (const auto& [why, count] : count_left_out(run)) {
    std::cout << separator << count << ' ' << to_string(why);
    separator = ", ";
  }
  std::cout << (run.left_out.empty() ? "\n" : ")\n");
  std::cout << "texts      " << size.passages << " passages, " << fixed(megabytes, 1) << " MB, "
            << size.terms << " terms\n"
            << "knowledge  " << size.entities << " entities, " << size.relations << " relations\n"
            << "time       " << fixed(run.seconds, 2)
            << " s: " << fixed(per_second(static_cast<double>(run.files), run), 0) << " files/s, "
            << fixed(per_second(static_cast<double>(size.passages), run), 0) << " passages/s, "
            << fixed(per_second(megabytes, run), 1) << " MB/s\n";
  separator = "nodes      ";
  for (const auto& [node, passages] : size.passages_by_node) {
    std::cout << separator << printable(node) << ": " << passages << " passages";
    separator = ", ";
  }
  std::cout << '\n';
  separator = "mentioned  ";
  for (const counted_entity& each : size.most_mentioned) {
    std::cout << separator << each.what.text << " (" << each.passages << ')';
    separator = ", ";
  }
  if (!size.most_mentioned.empty()) std::cout << '\n';
}

void print_answer(const answer& found, const report_options& options) {
  if (options.json) return print_answer_as_json(found);

  std::cout << "\nquery: " << printable(found.query) << '\n';
  if (found.hits.empty()) std::cout << "  no passage has a word of it\n";
  std::size_t rank = 0;
  for (const hit& each : found.hits) {
    std::cout << "  " << ++rank << ". " << fixed(each.score, 3) << "  " << printable(each.path)
              << ", passage " << each.number + 1;
    if (each.alike > 0) std::cout << ", and " << each.alike << " much alike";
    std::cout << '\n';
    print_wrapped(each.snippet, "     ");
    std::string entities;
    for (const entity& what : each.entities) {
      entities += (entities.empty() ? "" : "; ") + what.text + " (" + to_string(what.kind) + ')';
    }
    if (!entities.empty()) print_wrapped("entities: " + entities, "     ");
  }
  for (const counted_relation& each : found.related) {
    std::cout << "  known: " << each.what.subject << ' ' << each.what.verb << ' '
              << each.what.object << " (" << each.passages
              << (each.passages == 1 ? " passage)\n" : " passages)\n");
  }
}

}  // namespace document_index
