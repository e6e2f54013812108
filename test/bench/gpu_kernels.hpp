/// The benchmarks' kernels, as files see them that nvcc does not compile.
#pragma once

/// Does nothing that takes time.
void bench_nothing(int* to);
