// NetworkQueue: answers on their way back to libtorrent's network thread, one post for as many as there are. It keeps
// the io_context running until the last operation was answered, because a handler owns its torrent and its connection,
// and they must die on that thread. Shared (shared_ptr) with jobs; push() on any thread, the rest on the network
// thread.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <libtorrent/fwd.hpp>
#include <libtorrent/io_context.hpp>
#include <memory>
#include <mutex>
#include <vector>

#include "shoal/base/unique_function.h"

namespace shoal::p2p {

class NetworkQueue : public std::enable_shared_from_this<NetworkQueue> {
 public:
  using Task = base::UniqueFunction<void()>;
  explicit NetworkQueue(lt::io_context& io) : io_(io), work_(io.get_executor()) {}
  void begin() { outstanding_.fetch_add(1); }      // an operation that will be answered
  void push(Task task, std::int64_t answers = 1);  // answers so many of them
  void close();                                    // no more begin() but from handlers that still run

 private:
  struct Ready {
    Task task;
    std::int64_t answers;
  };
  void drain();
  lt::io_context& io_;
  boost::asio::executor_work_guard<lt::io_context::executor_type> work_;
  std::mutex mutex_;
  std::vector<Ready> ready_;
  bool posted_ = false;
  bool closing_ = false;
  std::atomic<std::int64_t> outstanding_{0};
};

}  // namespace shoal::p2p
