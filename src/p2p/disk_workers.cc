#include "disk_workers.h"

#include <signal.h>

#include <algorithm>

namespace shoal::p2p {

DiskWorkers::DiskWorkers(unsigned threads) {
  // Signals are for the threads that wait for them, not for these; but for faults of their own.
  sigset_t all, before;
  ::sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) ::sigdelset(&all, fault);
  (void)::pthread_sigmask(SIG_SETMASK, &all, &before);
  for (unsigned i = 0; i < std::max(threads, 1u); ++i) {
    workers_.push_back(std::make_unique<Worker>());
    Worker& worker = *workers_.back();
    worker.thread = std::thread([&worker] { run(worker); });
  }
  (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

DiskWorkers::~DiskWorkers() { stop(); }

void DiskWorkers::push(Worker& worker, Job job) {
  bool was_idle = false;
  {
    const std::lock_guard lock(worker.mutex);
    was_idle = worker.jobs.empty();
    worker.jobs.push_back(std::move(job));
  }
  if (was_idle) worker.wake.notify_one();
}

void DiskWorkers::submit(std::size_t key, Job job) { push(*workers_[key % workers_.size()], std::move(job)); }

void DiskWorkers::fence(Job done) {
  // Shared by one marker per worker: the last of them to run lets go of it, and so runs it.
  const auto last = std::shared_ptr<Job>(new Job(std::move(done)), [](Job* job) {
    (*job)();
    delete job;
  });
  for (auto& worker : workers_) push(*worker, [last] {});
}

void DiskWorkers::run(Worker& worker) {
  std::unique_lock lock(worker.mutex);
  for (;;) {
    worker.wake.wait(lock, [&worker] { return worker.stop || !worker.jobs.empty(); });
    if (worker.jobs.empty()) return;
    std::deque<Job> batch;
    batch.swap(worker.jobs);
    lock.unlock();
    while (!batch.empty()) {
      batch.front()();
      batch.pop_front();
    }
    lock.lock();
  }
}

void DiskWorkers::stop() {
  for (auto& worker : workers_) {
    {
      const std::lock_guard lock(worker->mutex);
      worker->stop = true;
    }
    worker->wake.notify_one();
  }
  for (auto& worker : workers_)
    if (worker->thread.joinable()) worker->thread.join();
}

}  // namespace shoal::p2p
