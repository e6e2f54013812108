#include <chrono>
#include <stdexcept>
#include <string>

#include "core/units.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"

using namespace troupe::core;
using namespace std::chrono_literals;
using troupe::test::contains;

namespace {

std::string refusal(auto parse, std::string_view text) {
  try {
    static_cast<void>(parse(text, "--it"));
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a count is a whole number without sign") {
  CHECK(parse_count("0", "it") == 0);
  CHECK(parse_count("16000000", "it") == 16'000'000);
  CHECK(parse_count("18446744073709551615", "it") == 18446744073709551615ULL);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "nan", "4294967296k",
                           "18446744073709551616"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_count(text, "it"), std::invalid_argument);
  }
}

TEST_CASE("bytes have units of 1000 and, with an i, of 1024") {
  CHECK(parse_bytes("0", "it") == 0);
  CHECK(parse_bytes("4096", "it") == 4096);
  CHECK(parse_bytes("4096B", "it") == 4096);
  CHECK(parse_bytes("100k", "it") == 100'000);
  CHECK(parse_bytes("100kB", "it") == 100'000);
  CHECK(parse_bytes("512MB", "it") == 512'000'000);
  CHECK(parse_bytes("4GiB", "it") == 4ULL << 30);
  CHECK(parse_bytes("4Gi", "it") == 4ULL << 30);
  CHECK(parse_bytes("4 gib", "it") == 4ULL << 30);
  CHECK(parse_bytes("1.5KiB", "it") == 1536);
  CHECK(parse_bytes("0.1GB", "it") == 100'000'000);
  CHECK(parse_bytes("2TiB", "it") == 2ULL << 40);
  CHECK(parse_bytes("16383PiB", "it") == 16383ULL << 50);
}

TEST_CASE("bytes that make no sense are refused with what is allowed") {
  for (const char* text : {"", "-1", "GiB", "1.GiB", ".5GiB", "1..5GiB", "4XB", "4GiBs", "1e9",
                           "nan", "inf", "16384PiB", "18446744073709551616", "17000.5PiB"}) {
    CAPTURE(text);
    const std::string message = refusal(parse_bytes, text);
    CHECK_THAT(message, contains("--it: \"" + std::string(text) + "\""));
    CHECK_THAT(message, contains("allowed is"));
  }
}

TEST_CASE("a duration names its unit") {
  CHECK(parse_duration("500ms", "it") == 500ms);
  CHECK(parse_duration("2s", "it") == 2s);
  CHECK(parse_duration("1m", "it") == 1min);
  CHECK(parse_duration("1min", "it") == 1min);
  CHECK(parse_duration("1.5h", "it") == 90min);
  CHECK(parse_duration("36500d", "it") == longest_duration);
  CHECK(parse_duration("7us", "it") == 7us);
  CHECK(parse_duration("7 ns", "it") == 7ns);
  CHECK(parse_duration("0", "it") == 0ns);
  for (const char* text : {"", "500", "-1s", "s", "1S", "1ms2", "36501d", "1e3s", "nan"}) {
    CAPTURE(text);
    CHECK_THAT(refusal(parse_duration, text), contains("allowed is"));
  }
}

TEST_CASE("an amount is a finite decimal that is not negative") {
  CHECK(parse_amount("4", "it") == 4);
  CHECK(parse_amount("0.25", "it") == 0.25);
  for (const char* text :
       {"", "-1", "-0.5", "nan", "inf", "1e3", "0.00001", "1,5", "4x", "2000000000000"}) {
    CAPTURE(text);
    CHECK_THAT(refusal(parse_amount, text), contains("allowed is"));
  }
}

TEST_CASE("a flag is one of the usual words") {
  CHECK(parse_flag("true", "it"));
  CHECK(parse_flag("On", "it"));
  CHECK(parse_flag("1", "it"));
  CHECK_FALSE(parse_flag("no", "it"));
  CHECK_FALSE(parse_flag("0", "it"));
  CHECK_THROWS_AS(parse_flag("", "it"), std::invalid_argument);
  CHECK_THROWS_AS(parse_flag("2", "it"), std::invalid_argument);
}

TEST_CASE("pairs are names with values, each name once") {
  using pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(parse_pairs("", "it").empty());
  CHECK(parse_pairs("a=1", "it") == pairs{{"a", "1"}});
  CHECK(parse_pairs("a=1,b=x=y,c=", "it") == pairs{{"a", "1"}, {"b", "x=y"}, {"c", ""}});
  for (const char* text : {"a", "=1", "a=1,", ",a=1", "a=1,,b=2", "a=1,a=2"}) {
    CAPTURE(text);
    CHECK_THAT(refusal(parse_pairs, text), contains("--it: "));
  }
}

TEST_CASE("values are shown in the shortest form that reads back") {
  CHECK(format_bytes(0) == "0");
  CHECK(format_bytes(4ULL << 30) == "4GiB");
  CHECK(format_bytes(100'000'000) == "100MB");
  CHECK(format_bytes(1025) == "1025");
  CHECK(format_duration(10s) == "10s");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(120s) == "2m");
  CHECK(format_duration(0s) == "0");
  CHECK(format_amount(0.25) == "0.25");
  for (const std::uint64_t bytes : {1ULL, 999ULL, 1000ULL, 1024ULL, 1536ULL, 1ULL << 62}) {
    CHECK(parse_bytes(format_bytes(bytes), "it") == bytes);
  }
}
