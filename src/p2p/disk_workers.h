// DiskWorkers: threads for the swarm's reads, hashes and writes. Jobs of the same key run in the order they were
// submitted, on one thread; so a fence behind them is one. Submit from any thread. stop() (or the destructor) runs
// what was submitted, then joins.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "shoal/base/unique_function.h"

namespace shoal::p2p {

class DiskWorkers {
 public:
  using Job = base::UniqueFunction<void()>;
  explicit DiskWorkers(unsigned threads);
  ~DiskWorkers();
  void submit(std::size_t key, Job job);
  void fence(Job done);  // runs when every job submitted before has run, on one of the threads
  void stop();

 private:
  struct Worker {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Job> jobs;
    bool stop = false;
    std::thread thread;
  };
  static void run(Worker& worker);
  static void push(Worker& worker, Job job);
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace shoal::p2p
