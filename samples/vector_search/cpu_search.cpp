#include <algorithm>

#include <troupe/troupe.hpp>

#include "search.hpp"

namespace {

std::uint32_t distance(const std::uint8_t* a, const std::uint8_t* b) {
  std::uint32_t sum = 0;
  for (int i = 0; i < vectors::dimensions; ++i) {
    const int difference = int{a[i]} - int{b[i]};
    sum += static_cast<std::uint32_t>(difference * difference);
  }
  return sum;
}

answers nearest(const vectors& base, const vectors& queries, std::size_t query) {
  answers best(wanted, ~neighbour{0});
  for (std::size_t i = 0; i < base.size(); ++i) {
    const neighbour found = neighbour{distance(base[i], queries[query])} << 32 | i;
    if (found >= best.back()) continue;
    best.back() = found;
    std::ranges::inplace_merge(best, best.end() - 1);
  }
  return best;
}

}  // namespace

answers search_by_cpu(const vectors& base, const vectors& queries) {
  const auto shared_base = troupe::put(base);
  const auto shared_queries = troupe::put(queries);
  std::vector<troupe::object_ref<answers>> refs;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    refs.push_back(troupe::remote<nearest>(shared_base, shared_queries, i));
  }
  answers all;
  for (const auto& ref : refs) {
    const answers one = troupe::get(ref);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}
