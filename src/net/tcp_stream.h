// TcpStream: Stream on a non-blocking TCP socket. Edge-triggered: readable_ and writable_ remember what the kernel said
// until a call meets EAGAIN, so steady reading and writing costs no epoll_ctl.
#pragma once

#include <sys/socket.h>

#include "loop_impl.h"
#include "shoal/net/stream.h"

namespace shoal::net {

class TcpStream final : public Stream, private KernelTls, private PollTarget {
 public:
  // Takes the fd (non-blocking), also on failure.
  [[nodiscard]] static base::Result<std::unique_ptr<Stream>> adopt(EventLoop& loop, int fd, Address peer);
  TcpStream(EventLoop& loop, int fd, Address peer);
  ~TcpStream() override;

  void read_start(base::UniqueFunction<void(base::Result<std::string_view>)> data) override;
  void read_stop() override;
  base::Result<std::size_t> write_some(std::span<const std::string_view> parts) override;
  base::Result<std::size_t> send_file(const base::File& file, std::uint64_t offset, std::size_t size) override;
  void on_writable(base::UniqueFunction<void()> ready) override;
  void cork(bool on) override;
  void reset() override;
  void shutdown_write() override;
  const Address& peer() const override { return peer_; }
  KernelTls* kernel_tls() override;

 private:
  bool begin(std::string_view keys) override;
  base::Result<std::size_t> write_record(std::uint8_t type, std::string_view bytes) override;
  bool settled() override;
  [[nodiscard]] base::Result<std::size_t> send(msghdr& message, std::size_t size);
  void on_poll(std::uint32_t epoll_events) override;
  void wake_later(std::uint32_t epoll_events);
  void read_some();
  [[nodiscard]] int pending_error() const;
  void close();

  EventLoop& loop_;
  int fd_;
  bool readable_ = false;  // a recv may find something: nothing said EAGAIN since the last edge
  bool writable_ = true;
  bool more_to_read_ = false;  // FIN or an error is behind the bytes: a short recv does not mean empty
  bool reading_ = false;
  bool ended_ = false;  // the FIN was passed on
  bool corked_ = false;
  bool kernel_tls_ = false;
  bool held_back_ = false;   // the last bytes went with MSG_MORE and may wait in the kernel
  bool* dropped_ = nullptr;  // set by the destructor while a callback runs
  Poller::Token token_ = 0;
  base::UniqueFunction<void(base::Result<std::string_view>)> data_;
  base::UniqueFunction<void()> ready_;
  Address peer_;
};

}  // namespace shoal::net
