#include "shoal/base/loop.h"

#include <gtest/gtest.h>

#include "support/fake_loop.h"

namespace shoal::base {
namespace {

using std::chrono::milliseconds;

TEST(Timer, FiresOnceWhenDue) {
  test::FakeClock clock;
  test::FakeLoop loop(clock);
  int fired = 0;
  Timer timer = loop.schedule(milliseconds(10), [&] { ++fired; });
  loop.advance(milliseconds(9));
  EXPECT_EQ(fired, 0);
  loop.advance(milliseconds(1));
  EXPECT_EQ(fired, 1);
  loop.advance(milliseconds(100));
  EXPECT_EQ(fired, 1);
}

TEST(Timer, DroppingOrCancellingStopsIt) {
  test::FakeClock clock;
  test::FakeLoop loop(clock);
  int fired = 0;
  {
    const Timer dropped = loop.schedule(milliseconds(1), [&] { ++fired; });
  }
  Timer cancelled = loop.schedule(milliseconds(1), [&] { ++fired; });
  EXPECT_TRUE(cancelled.armed());
  cancelled.cancel();
  EXPECT_FALSE(cancelled.armed());
  cancelled.cancel();
  EXPECT_EQ(loop.timers(), 0u);
  loop.advance(milliseconds(10));
  EXPECT_EQ(fired, 0);
}

TEST(Timer, AssignmentCancelsTheOldOne) {
  test::FakeClock clock;
  test::FakeLoop loop(clock);
  std::string fired;
  Timer timer = loop.schedule(milliseconds(1), [&] { fired += 'a'; });
  timer = loop.schedule(milliseconds(2), [&] { fired += 'b'; });
  loop.advance(milliseconds(10));
  EXPECT_EQ(fired, "b");
  EXPECT_FALSE(Timer().armed());
}

TEST(Timer, MayDropItselfWhileItFires) {
  test::FakeClock clock;
  test::FakeLoop loop(clock);
  Timer timer;
  int fired = 0;
  timer = loop.schedule(milliseconds(1), [&] {
    timer.cancel();
    ++fired;
  });
  loop.advance(milliseconds(5));
  EXPECT_EQ(fired, 1);
}

TEST(Lifetime, WatchTellsWhenTheObjectIsGone) {
  auto life = std::make_unique<Lifetime>();
  const auto first = life->watch();
  const auto second = first;
  EXPECT_FALSE(first.gone());
  EXPECT_FALSE(second.gone());
  life.reset();
  EXPECT_TRUE(first.gone());
  EXPECT_TRUE(second.gone());
}

TEST(Lifetime, ACallbackThatOutlivesItsObjectDoesNothing) {
  test::FakeExecutor executor;
  struct Owner {
    int* runs;
    Lifetime life;
    void post(Executor& e) {
      e.post([alive = life.watch(), this] {
        if (alive.gone()) return;
        ++*runs;
      });
    }
  };
  int runs = 0;
  auto owner = std::make_unique<Owner>(Owner{&runs, {}});
  owner->post(executor);
  executor.run_all();
  EXPECT_EQ(runs, 1);
  owner->post(executor);
  owner.reset();
  executor.run_all();
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace shoal::base
