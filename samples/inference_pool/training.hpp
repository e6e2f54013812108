/// Data-parallel training: tasks compute gradients of their shards, the parameters go by ref.
#pragma once

#include "digits.hpp"
#include "network.hpp"

namespace inference_pool {

struct training_options {
  int shards = 2;  ///< tasks in each step
  int steps = 1'000;
  int batch = 64;  ///< images of each task and step
  float rate = 0.004F;
};

parameters train(const digits& data, const training_options& how);

}  // namespace inference_pool
