#include "shoal/net/event_loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "support/loop_thread.h"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

TEST(EventLoop, runs_posts_of_other_threads_in_order_on_its_own_thread) {
  test::LoopThread thread;
  EXPECT_FALSE(thread.loop().in_loop());
  std::vector<int> order;
  std::vector<bool> inside;
  for (int i = 0; i < 1000; ++i) {
    thread.loop().post([&, i] {
      order.push_back(i);
      inside.push_back(thread.loop().in_loop());
    });
  }
  thread.run([] {});
  ASSERT_EQ(order.size(), 1000U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(std::count(inside.begin(), inside.end(), true), 1000);
}

TEST(EventLoop, runs_a_post_from_the_loop_itself_later_and_not_inside_post) {
  test::LoopThread thread;
  std::promise<std::string> done;
  std::string order;
  thread.loop().post([&] {
    thread.loop().post([&] {
      order += "inner ";
      done.set_value(order);
    });
    order += "outer ";
  });
  EXPECT_EQ(done.get_future().get(), "outer inner ");
}

TEST(EventLoop, keeps_taking_posts_of_others_while_it_posts_to_itself) {
  test::LoopThread thread;
  std::atomic<bool> stop{false};
  std::function<void()> again = [&] {
    if (!stop) thread.loop().post([&] { again(); });
  };
  thread.loop().post([&] { again(); });
  for (int i = 0; i < 100; ++i) thread.run([] {});
  stop = true;
  thread.run([] {});
}

TEST(EventLoop, loses_no_post_of_many_threads) {
  test::LoopThread thread;
  std::atomic<int> count{0};
  std::vector<std::thread> posters;
  for (int t = 0; t < 4; ++t) {
    posters.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) thread.loop().post([&] { ++count; });
    });
  }
  for (auto& poster : posters) poster.join();
  thread.run([] {});
  EXPECT_EQ(count, 20000);
}

TEST(EventLoop, runs_what_was_posted_before_a_stop_and_drops_what_comes_after) {
  EventLoop loop(3);
  EXPECT_EQ(loop.index(), 3U);
  std::atomic<int> ran{0};
  loop.post([&] { ++ran; });  // before start: kept
  loop.start();
  loop.post([&] { loop.post([&] { ++ran; }); });
  loop.stop();
  EXPECT_EQ(ran, 2);
  auto token = std::make_shared<int>(0);
  loop.post([&ran, token] { ++ran; });
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_EQ(ran, 2);
  loop.stop();
}

TEST(EventLoop, fires_timers_in_order_and_never_early) {
  test::LoopThread thread;
  std::promise<void> done;
  std::vector<int> order;
  base::Timer late;
  base::Timer soon;
  base::Timer never;
  const auto start = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration took{};
  thread.run([&] {
    late = thread.loop().schedule(20ms, [&] {
      took = std::chrono::steady_clock::now() - start;
      order.push_back(2);
      done.set_value();
    });
    soon = thread.loop().schedule(1ms, [&] {
      order.push_back(1);
      never.cancel();
      soon.cancel();  // from inside its own firing
    });
    never = thread.loop().schedule(5ms, [&] { order.push_back(99); });
  });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_GE(took, 20ms);
  thread.run([&] { late.cancel(); });
}

TEST(EventLoop, survives_a_timer_dropped_after_the_stop) {
  base::Timer timer;
  {
    test::LoopThread thread;
    thread.run([&] { timer = thread.loop().schedule(1h, [] {}); });
  }
  timer.cancel();
}

TEST(EventLoop, measures_how_late_its_heartbeat_runs) {
  test::LoopThread thread;
  std::promise<void> seen;
  base::Timer timer;
  std::function<void()> look = [&] {
    if (thread.loop().lag() >= 100ms) return seen.set_value();
    // A turn that takes longer than a heartbeat: what lag() is there to show.
    const auto until = std::chrono::steady_clock::now() + 700ms;
    while (std::chrono::steady_clock::now() < until) {
    }
    timer = thread.loop().schedule(1ms, [&] { look(); });
  };
  thread.loop().post([&] { look(); });
  EXPECT_EQ(seen.get_future().wait_for(20s), std::future_status::ready);
  thread.run([&] { timer.cancel(); });
}

TEST(ThreadPool, runs_everything_posted_before_it_goes) {
  std::atomic<int> ran{0};
  {
    ThreadPool pool(3);
    for (int i = 0; i < 1000; ++i) {
      pool.post([&] { ++ran; });
    }
  }
  EXPECT_EQ(ran, 1000);
}

TEST(FdWatch, tells_readable_and_writable_and_stops_when_dropped) {
  test::LoopThread thread;
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  std::promise<unsigned> writable;
  std::promise<unsigned> readable;
  std::unique_ptr<FdWatch> watch;
  bool told_writable = false;
  thread.run([&] {
    watch = std::make_unique<FdWatch>(thread.loop(), ends[0], [&](unsigned events, bool) {
      if (!told_writable) {
        told_writable = true;
        writable.set_value(events);
        watch->want(FdWatch::readable);
        return;
      }
      watch.reset();  // inside its own callback
      readable.set_value(events);
    });
    watch->want(FdWatch::writable);
  });
  EXPECT_EQ(writable.get_future().get(), FdWatch::writable);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_EQ(readable.get_future().get(), FdWatch::readable);
  ASSERT_EQ(::write(ends[1], "y", 1), 1);
  thread.run([] {});
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(EventLoop, counts_how_long_its_turns_take_and_how_long_what_others_post_waits) {
  obs::Histogram turns({0.02, 3600}), waits({0.02, 3600});
  test::LoopThread thread;
  thread.loop().measure(turns, waits);
  thread.run([] {});  // from here on they count
  thread.run([] {});
  const auto before = turns.snapshot(), waited = waits.snapshot();
  std::atomic<bool> busy{false};
  thread.loop().post([&busy] {  // a turn of 20 ms and more, however fast the machine is
    busy = true;
    const auto began = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - began < 30ms) {
    }
  });
  while (!busy) std::this_thread::yield();
  thread.run([] {});  // posted while it turned: has to wait for most of it, and comes in a turn of its own
  thread.run([] {});
  const auto after = turns.snapshot(), now = waits.snapshot();
  EXPECT_GE(after.cumulative[1] - after.cumulative[0], before.cumulative[1] - before.cumulative[0] + 1);
  EXPECT_GE(now.cumulative[1], waited.cumulative[1] + 2);
  EXPECT_GE(after.sum, before.sum + 0.03);
}

}  // namespace
}  // namespace shoal::net
