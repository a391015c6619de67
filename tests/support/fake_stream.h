// FakeStream: a net::Stream in memory, driven by the test. The test plays the peer: arrive(), end(), fail(), take().
#pragma once

#include <memory>
#include <string>

#include "shoal/base/loop.h"
#include "shoal/net/stream.h"

namespace shoal::test {

// What outlives the stream: the connection under test owns and drops it.
struct FakeWire {
  std::string sent;             // what the peer would have received
  std::size_t room = SIZE_MAX;  // bytes the "kernel" still takes; see make_room
  bool dropped = false;         // the stream was closed
  bool was_reset = false;
  bool write_ended = false;  // FIN sent
  bool reading = false;
  bool broken = false;  // writes fail
  int writes = 0;
};

class FakeStream final : public net::Stream {
 public:
  FakeStream(base::Loop& loop, std::shared_ptr<FakeWire> wire, net::Address peer = {"192.0.2.1", 1234})
      : loop_(loop), wire_(std::move(wire)), peer_(std::move(peer)) {}
  ~FakeStream() override;

  // The peer's side. False: the stream is not reading; nothing was delivered. The stream may be gone afterwards.
  bool arrive(std::string_view bytes);
  bool end() { return arrive({}); }
  bool fail();
  void make_room(std::size_t bytes);

  void read_start(base::UniqueFunction<void(base::Result<std::string_view>)> data) override;
  void read_stop() override { wire_->reading = false; }
  base::Result<std::size_t> write_some(std::span<const std::string_view> parts) override;
  base::Result<std::size_t> send_file(const base::File& file, std::uint64_t offset, std::size_t size) override;
  void on_writable(base::UniqueFunction<void()> ready) override;
  void cork(bool) override {}
  void reset() override;
  void shutdown_write() override { wire_->write_ended = true; }
  const net::Address& peer() const override { return peer_; }
  net::KernelTls* kernel_tls() override {
    ++kernel_asked;
    return kernel;
  }

  net::KernelTls* kernel = nullptr;  // the test's
  int kernel_asked = 0;

 private:
  bool deliver(base::Result<std::string_view> data);
  void wake();
  base::Loop& loop_;
  std::shared_ptr<FakeWire> wire_;
  net::Address peer_;
  base::UniqueFunction<void(base::Result<std::string_view>)> data_;
  base::UniqueFunction<void()> ready_;
  base::Lifetime life_;
};

}  // namespace shoal::test
