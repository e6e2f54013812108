// A neural network learns handwritten digits and is served by a pool of actors.
//
// Notice: the training is data-parallel, with the parameters as an object that every task of a step
// reads. The server's method takes a batch, its callers give one image each. The program is the
// same embedded and on a cluster, on CPUs and on GPUs.
//
//     sample_inference_pool [--data=digits.csv.gz] [--requests=N] [--members=N] [--cpu]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>

#include <troupe/troupe.hpp>

#include "model.hpp"
#include "training.hpp"

using namespace std::chrono_literals;
using namespace inference_pool;

namespace {

struct choices {
  std::string data;
  std::size_t requests = 20'000;
  std::size_t members = 2;
  bool cpu = false;
};

choices read_choices(int argc, char** argv) {
  choices chosen;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const std::string value(word.substr(word.find('=') + 1));
    if (word.starts_with("--data=")) chosen.data = value;
    if (word.starts_with("--requests=")) chosen.requests = std::strtoul(value.c_str(), nullptr, 10);
    if (word.starts_with("--members=")) chosen.members = std::strtoul(value.c_str(), nullptr, 10);
    if (word == "--cpu") chosen.cpu = true;
  }
  return chosen;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Asks for every image in turn, with so many requests on their way at a time. Gives those per
/// second, and counts right answers.
template <class Ask>
double requests_per_second(const digits& from, std::size_t requests, std::size_t& right, Ask ask) {
  constexpr std::size_t on_their_way = 256;
  const auto begin = std::chrono::steady_clock::now();
  std::deque<troupe::object_ref<label>> waiting;
  for (std::size_t asked = 0, answered = 0; answered < requests; ++answered) {
    for (; asked < requests && waiting.size() < on_their_way; ++asked) {
      waiting.push_back(ask(from.images[asked % from.images.size()]));
    }
    const label answer = troupe::get(std::move(waiting.front()));
    waiting.pop_front();
    if (answer == from.labels[answered % from.labels.size()]) ++right;
  }
  return static_cast<double>(requests) / seconds_since(begin);
}

}  // namespace

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  const choices chosen = read_choices(argc, argv);

  const digits all = load_digits(chosen.data);
  const auto [training, test] = split_digits(all);
  std::printf("data: %zu digits %s\n", all.images.size(), all.source.c_str());

  const training_options how;
  auto begin = std::chrono::steady_clock::now();
  const parameters network = train(training, how);
  std::printf("training: %d steps of %d tasks, %.2f s\n", how.steps, how.shards,
              seconds_since(begin));

  const bool gpu = !chosen.cpu && !gpu_library().empty() && troupe::cluster_resources()["GPU"] > 0;
  const double share = gpu ? 1.0 / static_cast<double>(chosen.members) : 0;
  troupe::actor_pool<model> pool({.size = chosen.members, .actor = {.num_gpus = share}},
                                 troupe::put(network), gpu ? gpu_library() : std::string());
  std::printf("serving: %zu models on %s\n", chosen.members,
              troupe::get(pool.remote<&model::backend_name>()).c_str());

  std::size_t right = 0;
  const double single =
      requests_per_second(test, chosen.requests / 10, right,
                          [&](const image& one) { return pool.remote<&model::classify_one>(one); });
  const auto batched = pool.batched<&model::classify>({.max_batch_size = 64, .max_wait = 1ms});
  right = 0;
  const double rate = requests_per_second(test, chosen.requests, right,
                                          [&](const image& one) { return batched.remote(one); });

  const troupe::pool_stats stats = pool.stats();
  const double accuracy = 100.0 * static_cast<double>(right) / static_cast<double>(chosen.requests);
  const auto milliseconds = [&](double share_of_all) {
    return static_cast<double>(stats.latencies.quantile(share_of_all)) / 1e6;
  };
  std::printf("accuracy: %.2f %% of %zu digits that the training has not seen\n", accuracy,
              test.images.size());
  std::printf("throughput: %.0f digits/s in batches of %.1f; one by one %.0f digits/s\n", rate,
              stats.batch_sizes.mean(), single);
  std::printf("latency: 50 %% under %.2f ms, 90 %% under %.2f ms, 99 %% under %.2f ms\n",
              milliseconds(0.5), milliseconds(0.9), milliseconds(0.99));
  return accuracy >= 96 ? 0 : 1;
}
