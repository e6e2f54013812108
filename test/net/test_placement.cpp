#include "net/placement.hpp"

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/node_states.hpp"

using namespace troupe;
using namespace troupe::test;
using net::placement_kind;
using where = net::placement_decision::where;

namespace {

net::placement_node node(net::process_id id, double total, double free) {
  return {peer_of(id),
          "n" + std::to_string(id),
          resources({{"CPU", total}}),
          resources({{"CPU", free}}),
          {}};
}

net::placement_request wants(double cpus, placement_kind kind = placement_kind::hybrid) {
  net::placement_request request;
  request.wanted = resources({{"CPU", cpus}});
  request.kind = kind;
  return request;
}

std::string decide(const std::vector<net::placement_node>& nodes,
                   const net::placement_request& request, std::uint64_t turn = 0) {
  const auto decision = net::place(nodes, 1, request, turn);
  switch (decision.what) {
    case where::here:
      return "here";
    case where::there:
      return "n" + std::to_string(decision.node);
    case where::nowhere:
      return "nowhere: " + decision.why;
    case where::refused:
      break;
  }
  return "refused: " + decision.why;
}

}  // namespace

TEST_CASE("hybrid fills the own node up to half, then takes the least used that has room") {
  CHECK(decide({node(1, 4, 4), node(2, 4, 4)}, wants(1)) == "here");
  CHECK(decide({node(1, 4, 3), node(2, 4, 4)}, wants(1)) == "here");
  CHECK(decide({node(1, 4, 2), node(2, 4, 4)}, wants(1)) == "n2");
  CHECK(decide({node(1, 4, 2), node(2, 4, 1), node(3, 4, 3)}, wants(1)) == "n3");
}

TEST_CASE("hybrid stays where it is when others are as full, and queues there when all are") {
  CHECK(decide({node(1, 4, 2), node(2, 4, 2)}, wants(1)) == "here");
  CHECK(decide({node(1, 4, 0), node(2, 4, 0)}, wants(1)) == "here");
  CHECK(decide({node(1, 4, 1), node(2, 4, 1)}, wants(2)) == "here");
}

TEST_CASE("what never fits here goes to a node where it does, though that is busy") {
  CHECK(decide({node(1, 1, 1), node(2, 4, 0)}, wants(2)) == "n2");
  CHECK_THAT(decide({node(1, 1, 1), node(2, 1, 1)}, wants(2)), contains("nowhere: no node has"));
}

TEST_CASE("a request that was sent on stays when it can start, and for good after four ways") {
  auto request = wants(1);
  request.redirections = 1;
  CHECK(decide({node(1, 4, 1), node(2, 4, 4)}, request) == "here");
  CHECK(decide({node(1, 4, 0), node(2, 4, 4)}, request) == "n2");
  request.redirections = 4;
  CHECK(decide({node(1, 4, 0), node(2, 4, 4)}, request) == "here");
}

TEST_CASE("spread takes the least used, and equals in turn") {
  const std::vector<net::placement_node> equal{node(1, 4, 4), node(2, 4, 4), node(3, 4, 4)};
  const auto request = wants(1, placement_kind::spread);
  std::vector<std::string> chosen;
  std::uint64_t turn = 0;
  for (int i = 0; i < 3; ++i) {
    const auto decision = net::place(equal, 1, request, turn);
    chosen.push_back(decision.what == where::here ? "n1" : "n" + std::to_string(decision.node));
  }
  std::sort(chosen.begin(), chosen.end());
  CHECK(chosen == std::vector<std::string>{"n1", "n2", "n3"});
  CHECK(decide({node(1, 4, 3), node(2, 4, 4), node(3, 4, 2)}, request) == "n2");
}

TEST_CASE("affinity goes to the node of that name, and is refused when there is none") {
  const std::vector<net::placement_node> nodes{node(1, 4, 4), node(2, 4, 0)};
  auto request = wants(1, placement_kind::affinity);
  request.key = "n2";
  CHECK(decide(nodes, request) == "n2");
  request.key = "n1";
  CHECK(decide(nodes, request) == "here");
  request.key = "n9";
  CHECK_THAT(decide(nodes, request),
             contains("refused: there is no node 'n9'") && contains("'n1', 'n2'"));
  request.soft = true;
  CHECK(decide(nodes, request) == "here");
}

TEST_CASE("hard affinity to a node that is too small waits, soft affinity goes elsewhere") {
  const std::vector<net::placement_node> nodes{node(1, 4, 4), node(2, 1, 1)};
  auto request = wants(2, placement_kind::affinity);
  request.key = "n2";
  CHECK_THAT(decide(nodes, request), contains("nowhere"));
  request.soft = true;
  CHECK(decide(nodes, request) == "here");
}

TEST_CASE("a label chooses among the nodes that have it") {
  std::vector<net::placement_node> nodes{node(1, 4, 4), node(2, 4, 1), node(3, 4, 2)};
  nodes[1].labels = nodes[2].labels = {{"zone", "b"}};
  auto request = wants(1, placement_kind::label);
  request.key = "zone";
  request.value = "b";
  CHECK(decide(nodes, request) == "n3");
  request.value = "c";
  CHECK_THAT(decide(nodes, request), contains("refused: no node has the label 'zone=c'"));
}

TEST_CASE("one that waits moves only to a node that starts it now") {
  const auto moved = [](const std::vector<net::placement_node>& nodes) {
    return net::place_elsewhere(nodes, 1, wants(2)).node;
  };
  CHECK(moved({node(1, 4, 0), node(2, 4, 1)}) == 0);
  CHECK(moved({node(1, 4, 0), node(2, 4, 2), node(3, 4, 4)}) == 3);
}
