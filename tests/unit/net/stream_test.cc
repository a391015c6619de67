#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <future>

#include "shoal/net/stream.h"
#include "support/loop_thread.h"
#include "support/raw_client.h"
#include "support/temp_dir.h"

namespace shoal::net {
namespace {

// A listener on a loop of its own; streams are handed to the test through a promise and stay on the loop.
struct Net {
  Net() {
    thread.run([this] {
      auto made = Listener::listen(thread.loop(), {"127.0.0.1", 0}, {}, [this](std::unique_ptr<Stream> s) {
        if (stream != nullptr) return;  // only the first counts
        stream = std::move(s);
        accepted.set_value();
      });
      if (made) listener = std::move(*made);
    });
    port = listener->address().port;
  }
  ~Net() {
    thread.run([this] {
      stream.reset();
      listener.reset();
    });
  }
  void wait_accepted() { accepted.get_future().wait(); }

  test::LoopThread thread;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> stream;
  std::promise<void> accepted;
  std::uint16_t port = 0;
};

TEST(Stream, reads_what_came_before_and_after_read_start_then_the_end) {
  Net net;
  test::RawClient client(net.port);
  net.wait_accepted();
  EXPECT_EQ(net.stream->peer().ip, "127.0.0.1");
  client.send("early ");
  std::string got;
  std::promise<void> ended;
  net.thread.run([&] {
    net.stream->read_start([&](base::Result<std::string_view> data) {
      ASSERT_TRUE(data.ok());
      if (data->empty()) return ended.set_value();
      got += *data;
    });
  });
  client.send("late");
  client.end();
  ended.get_future().wait();
  EXPECT_EQ(got, "early late");
}

TEST(Stream, keeps_bytes_for_later_while_reading_is_stopped) {
  Net net;
  test::RawClient client(net.port);
  net.wait_accepted();
  const std::string big(1 << 20, 'b');
  std::size_t got = 0;
  std::promise<void> first;
  std::promise<void> all;
  const auto read_on = [&] {
    net.stream->read_start([&](base::Result<std::string_view> data) {
      if (!data.ok() || data->empty()) return;  // the client goes at the end of the test
      got += data->size();
      if (got == big.size()) all.set_value();
    });
  };
  net.thread.run([&] {
    net.stream->read_start([&](base::Result<std::string_view> data) {
      got += data->size();
      net.stream->read_stop();
      first.set_value();
    });
  });
  std::thread sender([&] { client.send(big); });
  first.get_future().wait();
  const auto before = got;
  net.thread.run([] {});
  net.thread.run([&] {
    EXPECT_EQ(got, before);
    read_on();
  });
  all.get_future().wait();
  sender.join();
}

TEST(Stream, may_be_dropped_inside_its_read_callback) {
  Net net;
  test::RawClient client(net.port);
  net.wait_accepted();
  std::promise<void> dropped;
  net.thread.run([&] {
    net.stream->read_start([&](base::Result<std::string_view>) {
      net.stream.reset();
      dropped.set_value();
    });
  });
  client.send("x");
  dropped.get_future().wait();
  EXPECT_EQ(client.read_all(), "");
}

TEST(Stream, may_be_dropped_inside_its_writable_callback) {
  Net net;
  test::RawClient client(net.port);
  net.wait_accepted();
  std::promise<void> dropped;
  net.thread.run([&] {
    net.stream->on_writable([&] {
      net.stream.reset();
      dropped.set_value();
    });
    EXPECT_NE(net.stream, nullptr);  // never inside the call
  });
  dropped.get_future().wait();
  EXPECT_EQ(client.read_all(), "");
}

TEST(Stream, takes_no_more_than_fits_and_tells_when_there_is_room_again) {
  Net net;
  test::RawClient client(net.port, 16 * 1024);
  net.wait_accepted();
  const std::string big(8 << 20, 'w');
  std::size_t sent = 0;
  std::promise<void> done;
  std::function<void()> push = [&] {
    while (sent < big.size()) {
      const std::string_view part = std::string_view(big).substr(sent);
      const auto n = net.stream->write_some({&part, 1});
      ASSERT_TRUE(n.ok());
      sent += *n;
      if (*n < part.size()) return net.stream->on_writable([&] { push(); });
    }
    net.stream->shutdown_write();
    done.set_value();
  };
  net.thread.run([&] {
    push();
    EXPECT_LT(sent, big.size());
  });
  EXPECT_EQ(client.read_all(), big);
  EXPECT_TRUE(client.ended());
  done.get_future().wait();
}

TEST(Stream, sends_a_file_behind_a_corked_head) {
  Net net;
  test::TempDir dir;
  const std::string content(300'000, 'f');
  std::ofstream(dir.file("f")) << content;
  const base::File file(::open(dir.file("f").c_str(), O_RDONLY));
  test::RawClient client(net.port);
  net.wait_accepted();
  std::uint64_t at = 1000;
  std::function<void()> push = [&] {
    while (at < content.size()) {
      const auto n = net.stream->send_file(file, at, content.size() - at);
      ASSERT_TRUE(n.ok());
      if (*n == 0) return net.stream->on_writable([&] { push(); });
      at += *n;
    }
    net.stream->cork(false);
    net.stream->shutdown_write();
  };
  net.thread.run([&] {
    net.stream->cork(true);
    const std::string_view head = "head ";
    ASSERT_EQ(*net.stream->write_some({&head, 1}), 5U);
    push();
  });
  EXPECT_EQ(client.read_all(), "head " + content.substr(1000));
  net.thread.run([&] {
    const auto beyond = net.stream->send_file(file, content.size(), 10);
    EXPECT_FALSE(beyond.ok());  // a file shorter than its record: not the end of the body
  });
}

TEST(Stream, uncorking_pushes_a_head_that_has_no_file_yet) {
  Net net;
  test::RawClient client(net.port);
  net.wait_accepted();
  net.thread.run([&] {
    net.stream->cork(true);
    const std::string_view head = "head";
    ASSERT_TRUE(net.stream->write_some({&head, 1}).ok());
    net.stream->cork(false);
  });
  EXPECT_EQ(client.read_exactly(4), "head");
}

TEST(Stream, reset_is_seen_as_a_reset_by_the_peer) {
  Net net;
  test::RawClient client(net.port);
  net.wait_accepted();
  net.thread.run([&] {
    const std::string_view part = "cut";
    ASSERT_TRUE(net.stream->write_some({&part, 1}).ok());
    net.stream->reset();
    EXPECT_FALSE(net.stream->write_some({&part, 1}).ok());
  });
  (void)client.read_all();
  EXPECT_TRUE(client.was_reset());
}

TEST(Stream, still_hears_of_a_reset_after_the_peers_end) {
  Net net;
  test::RawClient client(net.port);
  net.wait_accepted();
  std::promise<void> ended;
  std::promise<base::ErrorKind> broke;
  net.thread.run([&] {
    net.stream->read_start([&](base::Result<std::string_view> data) {
      if (data.ok()) return ended.set_value();
      broke.set_value(data.error().kind());
    });
  });
  client.end();
  ended.get_future().wait();
  client.reset();
  EXPECT_EQ(broke.get_future().get(), base::ErrorKind::gone);
}

TEST(Stream, writing_to_a_peer_that_left_is_an_error_not_a_signal) {
  Net net;
  test::TempDir dir;
  std::ofstream(dir.file("f")) << std::string(4096, 'f');
  const base::File file(::open(dir.file("f").c_str(), O_RDONLY));
  test::RawClient client(net.port);
  net.wait_accepted();
  std::promise<void> broke;
  net.thread.run([&] {
    net.stream->read_start([&](base::Result<std::string_view> data) {
      if (!data.ok()) broke.set_value();
    });
  });
  client.reset();
  broke.get_future().wait();
  net.thread.run([&] {
    const std::string_view part = "x";
    EXPECT_FALSE(net.stream->write_some({&part, 1}).ok());
    EXPECT_FALSE(net.stream->send_file(file, 0, 10).ok());
  });
}

TEST(Listener, leaves_clients_waiting_while_paused) {
  Net net;
  net.thread.run([&] { net.listener->pause(); });
  test::RawClient client(net.port);  // the kernel's backlog takes it
  ASSERT_TRUE(client.connected());
  net.thread.run([] {});
  net.thread.run([&] {
    EXPECT_EQ(net.stream, nullptr);
    net.listener->resume();
  });
  net.wait_accepted();
}

TEST(Listener, says_which_address_is_in_use) {
  Net net;
  net.thread.run([&] {
    ListenOptions options;
    options.reuse_port = false;
    const auto second = Listener::listen(net.thread.loop(), net.listener->address(), options, [](auto) {});
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.error().message().find(net.listener->address().to_string()), std::string::npos);
  });
}

// Uses up all file descriptors of this process while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit few = before_;
    few.rlim_cur = 128;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY)) held_.push_back(fd);
  }
  ~NoDescriptors() {
    for (int fd : held_) ::close(fd);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0);
  }

 private:
  rlimit before_{};
  std::vector<int> held_;
};

TEST(Listener, accepts_waiting_clients_once_file_descriptors_are_free) {
  Net net;
  net.thread.run([&] { net.listener->pause(); });
  test::RawClient client(net.port);
  {
    const NoDescriptors none;
    net.thread.run([&] { net.listener->resume(); });
    for (int turn = 0; turn < 10; ++turn) net.thread.run([] {});
    net.thread.run([&] { EXPECT_EQ(net.stream, nullptr); });
  }
  net.wait_accepted();
}

TEST(Listener, turns_clients_away_when_file_descriptors_stay_used_up) {
  Net net;
  net.thread.run([&] { net.listener->pause(); });
  test::RawClient client(net.port);
  {
    const NoDescriptors none;
    net.thread.run([&] { net.listener->resume(); });
    EXPECT_EQ(client.read_all(), "");
    EXPECT_TRUE(client.ended());
  }
  // One that comes while others are still being turned away may share their fate: try again.
  auto accepted = net.accepted.get_future();
  do {
    test::RawClient next(net.port);
    if (accepted.wait_for(std::chrono::milliseconds(500)) == std::future_status::ready) break;
  } while (!HasFailure());
}

TEST(PageCache, tells_resident_pages_from_cold_ones_and_loads_them) {
  test::TempDir dir;
  const std::uint64_t size = 6 << 20;
  { std::ofstream(dir.file("f")) << std::string(size, 'p'); }
  const base::File file(::open(dir.file("f").c_str(), O_RDWR));
  ASSERT_EQ(::fsync(file.fd()), 0);
  EXPECT_TRUE(pages_resident(file, 5000, size - 5000));
  ASSERT_EQ(::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  if (pages_resident(file, 0, size)) GTEST_SKIP() << "this filesystem keeps its pages";
  EXPECT_TRUE(load_pages(file, 1 << 20, 1 << 20).ok());
  EXPECT_TRUE(pages_resident(file, 1 << 20, 1 << 20));
  EXPECT_TRUE(load_pages(file, 0, size + 100'000).ok());  // past the end: what there is
  EXPECT_TRUE(pages_resident(file, 0, size));
}

TEST(PageCache, what_the_disk_does_not_give_is_an_error_of_the_file) {
  const base::File unreadable(::open("/proc/self/mem", O_RDONLY));  // nothing is mapped at 0: EIO
  const auto loaded = load_pages(unreadable, 0, 4096);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().kind(), base::ErrorKind::corrupt);
  EXPECT_NE(loaded.error().message().find("Input/output error"), std::string::npos) << loaded.error().message();
}

TEST(PageCache, what_is_not_the_disks_doing_is_no_error_of_the_file) {
  const base::File directory(::open("/", O_RDONLY | O_DIRECTORY));  // EISDIR
  const auto loaded = load_pages(directory, 0, 4096);
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().kind(), base::ErrorKind::corrupt);
}

}  // namespace
}  // namespace shoal::net
