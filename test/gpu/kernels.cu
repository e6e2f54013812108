// Kernels of the tests that need a device. Declared without __global__ in kernels.cuh: what the host calls a
// kernel by is a function of the same name and type.
namespace troupe::test {

__device__ int index() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__global__ void scale(float* to, const float* from, float by, int count) {
  if (index() < count) to[index()] = from[index()] * by;
}
__global__ void add_to(float* to, const float* from, int count) {
  if (index() < count) to[index()] += from[index()];
}
__global__ void fill(int* to, int value, int count) {
  if (index() < count) to[index()] = value;
}
__global__ void break_the_device(int* nowhere) { *nowhere = 1; }
__global__ void spin(int* to, int turns) {
  int value = *to;
  for (int i = 0; i < turns; ++i) value = value * 1664525 + 1013904223;
  *to = value;
}

}  // namespace troupe::test
