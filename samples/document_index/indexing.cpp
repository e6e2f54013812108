#include "indexing.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <span>
#include <utility>

#include <troupe/progress.hpp>
#include <troupe/runtime.hpp>
#include <troupe/task.hpp>

namespace document_index {

namespace {

constexpr std::size_t files_per_reader = 16;
constexpr std::uint32_t batches_ahead = 4;  // that a reader may be of its consumer
constexpr std::size_t unfinished_per_worker = 4;

std::size_t workers_or_cpus(std::size_t asked_for) {
  if (asked_for != 0) return asked_for;
  return static_cast<std::size_t>(std::max(1.0, std::floor(troupe::cluster_resources()["CPU"])));
}

/// Members on all nodes of a cluster; in a program by itself there is one.
troupe::pool_options members_everywhere(std::size_t count) {
  return {.size = count, .actor = {.scheduling = troupe::scheduling::spread()}};
}

void account(const batch& read, totals& run, troupe::progress& bar) {
  run.files += read.files_read;
  run.bytes += read.bytes_read;
  run.left_out.insert(run.left_out.end(), read.left_out.begin(), read.left_out.end());
  const auto unreadable = static_cast<std::size_t>(
      std::count_if(read.left_out.begin(), read.left_out.end(),
                    [](const left_out_file& file) { return file.why == omission::unreadable; }));
  bar.fail(unreadable);
  bar.advance(read.files_read + read.left_out.size() - unreadable);
}

}  // namespace

indexer::indexer(const program_options& options)
    : options_(options),
      workers_(workers_or_cpus(options.workers)),
      window_(unfinished_per_worker * workers_),
      embedders_(members_everywhere(workers_)),
      extractors_(members_everywhere(workers_)),
      statistics_(troupe::remote<term_statistics>()),
      index_(troupe::with({.name = index_name}).remote<passage_index>()) {}

totals indexer::run(file_list files) {
  const auto begin = std::chrono::steady_clock::now();
  totals run;
  run.left_out = std::move(files.left_out);
  read_all(files.paths, run);
  worth_ = statistics_.remote<&term_statistics::worth>();
  index_all();
  std::sort(run.left_out.begin(), run.left_out.end(),
            [](const left_out_file& a, const left_out_file& b) { return a.path < b.path; });
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return run;
}

/// Several readers work at once; their batches are taken in the order of the files, so that the
/// index does not depend on which of them is faster.
void indexer::read_all(const std::vector<std::string>& paths, totals& run) {
  troupe::progress bar({.label = "reading", .total = paths.size(), .unit = "files"});
  std::deque<troupe::object_stream<batch>> readers;
  std::span<const std::string> rest(paths);
  while (!rest.empty() || !readers.empty()) {
    while (!rest.empty() && readers.size() <= workers_) {
      const auto group = rest.first(std::min(files_per_reader, rest.size()));
      rest = rest.subspan(group.size());
      readers.push_back(
          troupe::with({.backpressure = batches_ahead})
              .remote<read_files>(std::vector<std::string>(group.begin(), group.end()),
                                  options_.reading));
    }
    for (const troupe::object_ref<batch>& passages : readers.front()) {
      account(*troupe::view(passages), run, bar);
      process(passages);
    }
    readers.pop_front();
  }
}

/// The calls are made with refs: each runs when what it needs is there.
void indexer::process(const troupe::object_ref<batch>& passages) {
  auto counts = embedders_.remote<&embedder::count>(passages);
  auto facts = extractors_.remote<&extractor::extract>(passages);
  statistics_.remote<&term_statistics::add>(counts);
  batches_.push_back({passages, std::move(counts), std::move(facts)});

  if (batches_.size() > window_) {  // the backpressure of the pools
    const work& oldest = batches_[batches_.size() - 1 - window_];
    troupe::wait({oldest.counts, oldest.facts}, {.num_returns = 2});
  }
}

void indexer::index_all() {
  troupe::progress bar({.label = "indexing", .total = batches_.size(), .unit = "batches"});
  std::deque<troupe::object_ref<void>> added;
  const auto finish_oldest = [&] {
    troupe::get(added.front());
    added.pop_front();
    bar.advance();
  };
  for (work& each : std::exchange(batches_, {})) {
    auto vectors = embedders_.remote<&embedder::weigh>(std::move(each.counts), worth_);
    added.push_back(index_.remote<&passage_index::add>(std::move(each.passages), std::move(vectors),
                                                       std::move(each.facts)));
    if (added.size() > window_) finish_oldest();
  }
  while (!added.empty()) finish_oldest();
}

answer indexer::ask(const std::string& query) const {
  const auto index = troupe::get_actor<passage_index>(index_name);
  auto vector = embedders_.remote<&embedder::embed>(query, worth_);
  return troupe::get(index.remote<&passage_index::search>(vector, query, options_.top));
}

index_size indexer::size() const { return troupe::get(index_.remote<&passage_index::size>()); }

}  // namespace document_index
