#include <troupe/troupe.hpp>

int add(int a, int b) { return a + b; }

int main(int argc, char** argv) {
  auto session = troupe::init(argc, argv);
  return troupe::get(troupe::remote<add>(40, 2)) == 42 ? 0 : 1;
}
