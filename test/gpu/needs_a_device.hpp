/// Lets a test case end where there is no device, and says why.
#pragma once

#include <troupe/gpu/device.hpp>

#include "test/support/skip.hpp"

#define NEEDS_A_DEVICE                                                  \
  if (troupe::gpu::device_count() == 0) {                               \
    troupe::test::skip("no GPU here: " + troupe::gpu::why_no_device()); \
    return;                                                             \
  }
