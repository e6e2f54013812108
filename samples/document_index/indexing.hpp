/// The pipeline from files to the index, and the way from a query to its answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <troupe/actor.hpp>
#include <troupe/actor_pool.hpp>
#include <troupe/object_ref.hpp>

#include "index.hpp"
#include "options.hpp"
#include "reading.hpp"
#include "report.hpp"
#include "workers.hpp"

namespace document_index {

/// Feeds files through tasks and pools into the index. It holds refs and never the data behind
/// them. Used by one thread.
class indexer {
 public:
  explicit indexer(const program_options& options);

  /// Reads, embeds and indexes all files; once.
  totals run(file_list files);

  /// Asks the named index.
  answer ask(const std::string& query) const;
  index_size size() const;

 private:
  /// What is known of one batch while it is on its way.
  struct work {
    troupe::object_ref<batch> passages;
    troupe::object_ref<std::vector<sparse_vector>> counts;
    troupe::object_ref<batch_facts> facts;
  };

  void read_all(const std::vector<std::string>& paths, totals& run);
  void process(const troupe::object_ref<batch>& passages);
  void index_all();

  program_options options_;
  std::size_t workers_;
  std::size_t window_;  ///< batches that may be unfinished at once
  troupe::actor_pool<embedder> embedders_;
  troupe::actor_pool<extractor> extractors_;
  troupe::actor_handle<term_statistics> statistics_;
  troupe::actor_handle<passage_index> index_;
  troupe::object_ref<std::vector<float>> worth_;  ///< of each term, once all were counted
  std::vector<work> batches_;
};

}  // namespace document_index
