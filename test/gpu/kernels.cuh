// The kernels of the tests, as files see them that another compiler than nvcc compiles.
#pragma once

namespace troupe::test {

void scale(float* to, const float* from, float by, int count);
void add_to(float* to, const float* from, int count);
void fill(int* to, int value, int count);
/// Writes where nothing is.
void break_the_device(int* nowhere);
/// Keeps the device busy for so many turns.
void spin(int* to, int turns);

}  // namespace troupe::test
