#include "shoal/base/unique_function.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>

namespace shoal::base {
namespace {

// Counts how often it lives and dies; Padding decides whether it fits inside the function.
template <std::size_t Padding>
struct Counted {
  int* alive;
  int* calls;
  std::array<char, Padding> padding{};
  Counted(int* a, int* c) : alive(a), calls(c) { ++*alive; }
  Counted(Counted&& other) noexcept : alive(other.alive), calls(other.calls) { ++*alive; }
  Counted(const Counted&) = delete;
  ~Counted() { --*alive; }
  void operator()() { ++*calls; }
};
using Inline = Counted<1>;
using Heap = Counted<256>;

template <class T>
class UniqueFunctionOf : public testing::Test {};
using Sizes = testing::Types<Inline, Heap>;
TYPED_TEST_SUITE(UniqueFunctionOf, Sizes);

TYPED_TEST(UniqueFunctionOf, CallsAndDestroysExactlyOnce) {
  int alive = 0;
  int calls = 0;
  {
    UniqueFunction<void()> function(TypeParam(&alive, &calls));
    EXPECT_EQ(alive, 1);
    function();
    function();
    EXPECT_EQ(calls, 2);
  }
  EXPECT_EQ(alive, 0);
}

TYPED_TEST(UniqueFunctionOf, MovingLeavesTheSourceEmpty) {
  int alive = 0;
  int calls = 0;
  {
    UniqueFunction<void()> first(TypeParam(&alive, &calls));
    UniqueFunction<void()> second(std::move(first));
    EXPECT_FALSE(static_cast<bool>(first));  // NOLINT: that is the point
    EXPECT_TRUE(static_cast<bool>(second));
    EXPECT_EQ(alive, 1);
    UniqueFunction<void()> third;
    third = std::move(second);
    third();
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(calls, 1);
  }
  EXPECT_EQ(alive, 0);
}

TYPED_TEST(UniqueFunctionOf, AssignmentDestroysWhatWasThere) {
  int alive = 0;
  int old_alive = 0;
  int calls = 0;
  UniqueFunction<void()> function(TypeParam(&old_alive, &calls));
  function = TypeParam(&alive, &calls);
  EXPECT_EQ(old_alive, 0);
  EXPECT_EQ(alive, 1);
  UniqueFunction<void()>& same = function;
  function = std::move(same);
  EXPECT_EQ(alive, 1);
  function();
  EXPECT_EQ(calls, 1);
  function = nullptr;
  EXPECT_EQ(alive, 0);
  EXPECT_FALSE(static_cast<bool>(function));
}

TEST(UniqueFunction, TakesMoveOnlyCapturesArgumentsAndResults) {
  UniqueFunction<int(std::unique_ptr<int>)> add(
      [base = std::make_unique<int>(40)](std::unique_ptr<int> more) { return *base + *more; });
  EXPECT_EQ(add(std::make_unique<int>(2)), 42);
  int value = 1;
  UniqueFunction<void(int&)> set([](int& out) { out = 7; });
  set(value);
  EXPECT_EQ(value, 7);
  UniqueFunction<long(int)> convert([](int x) { return x; });
  EXPECT_EQ(convert(3), 3L);
}

TEST(UniqueFunction, KeepsStateBetweenCalls) {
  UniqueFunction<int()> count([n = 0]() mutable { return ++n; });
  EXPECT_EQ(count(), 1);
  UniqueFunction<int()> moved(std::move(count));
  EXPECT_EQ(moved(), 2);
}

TEST(UniqueFunction, IsNotCopyable) {
  static_assert(!std::is_copy_constructible_v<UniqueFunction<void()>>);
  static_assert(!std::is_copy_assignable_v<UniqueFunction<void()>>);
  static_assert(std::is_nothrow_move_constructible_v<UniqueFunction<void()>>);
}

TEST(UniqueFunctionDeathTest, CallingAnEmptyOneAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  UniqueFunction<void()> never;
  EXPECT_DEATH(never(), "");
  UniqueFunction<void()> null(nullptr);
  EXPECT_DEATH(null(), "");
  UniqueFunction<void()> moved([] {});
  UniqueFunction<void()> taker(std::move(moved));
  EXPECT_DEATH(moved(), "");  // NOLINT: that is the point
}

}  // namespace
}  // namespace shoal::base
