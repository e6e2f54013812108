/// GPUs: arrays that stay on the device, kernels as tasks. Link troupe::gpu; includes CUDA's
/// runtime API.
#pragma once

#include <troupe/gpu/array.hpp>
#include <troupe/gpu/copy.hpp>
#include <troupe/gpu/device.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/gpu/graph.hpp>
#include <troupe/gpu/host_vector.hpp>
#include <troupe/gpu/launch.hpp>
#include <troupe/gpu/stream.hpp>
#include <troupe/gpu/work.hpp>
