// A program that says what it has and sees of a cluster's GPUs.
#include <cstdlib>
#include <iostream>
#include <string>

#include <troupe/troupe.hpp>

namespace {

std::string visible() {
  const char* const text = std::getenv("CUDA_VISIBLE_DEVICES");
  return text != nullptr ? text : "not set";
}
std::string numbers() {
  const char* const text = std::getenv("TROUPE_WORKER_GPUS");
  return text != nullptr ? text : "not set";
}

}  // namespace

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  const auto patience = std::chrono::seconds(60);
  std::cout << "GPUs: " << troupe::cluster_resources()["GPU"] << "\n";
  const auto shared = troupe::remote<visible>();
  std::cout << "shared: " << troupe::get(shared, patience) << "\n";
  if (troupe::cluster_resources()["GPU"] < 1) return 0;
  const auto alone = troupe::with({.num_gpus = 1, .isolation = troupe::isolation::process});
  std::cout << "isolated: " << troupe::get(alone.remote<visible>(), patience) << "\n";
  std::cout << "numbers: " << troupe::get(alone.remote<numbers>(), patience) << "\n";
  return 0;
}
