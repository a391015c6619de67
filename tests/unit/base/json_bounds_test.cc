#include "shoal/base/json_bounds.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal::base {
namespace {

TEST(JsonBounds, DepthIsThatOfObjectsAndArraysInsideEachOther) {
  EXPECT_TRUE(json_within("[[{}]]", {3, 100}));
  EXPECT_FALSE(json_within("[[{}]]", {2, 100}));
  EXPECT_TRUE(json_within("[[],[],[],{}]", {2, 100})) << "beside each other they are not deeper";
}

TEST(JsonBounds, EveryElementAndEveryContainerIsAValue) {
  EXPECT_TRUE(json_within(R"({"a":1,"b":2,"c":[3,4]})", {9, 6}));
  EXPECT_FALSE(json_within(R"({"a":1,"b":2,"c":[3,4]})", {9, 5}));
  EXPECT_TRUE(json_within("17", {0, 1}));
}

TEST(JsonBounds, WhatStandsInStringsDoesNotCount) {
  EXPECT_TRUE(json_within(R"(["[[[[,,,,","\"[[[,,\\"])", {1, 3}));
  EXPECT_FALSE(json_within(R"(["\\",[[0]]])", {2, 100})) << "the string ends behind an escaped backslash";
}

TEST(JsonBounds, TextThatBreaksOffIsReadToItsEnd) {
  EXPECT_TRUE(json_within("", {0, 1}));
  EXPECT_TRUE(json_within(R"(["\)", {1, 2}));
  EXPECT_FALSE(json_within(std::string(1'000'000, '['), {64, 500'000}));
}

}  // namespace
}  // namespace shoal::base
