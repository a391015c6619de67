// PoolJobs: answers requests from the pool. The owner (a handler) may die on its loop at any time: its destructor waits
// for jobs that are running; those still queued do nothing then.
#pragma once

#include <memory>
#include <shared_mutex>

#include "shoal/base/loop.h"
#include "shoal/base/unique_function.h"
#include "shoal/http/server.h"

namespace shoal::admin {

class PoolJobs {
 public:
  using Answer = base::UniqueFunction<void(http::Response)>;  // once, from any thread

  PoolJobs(base::Loop& loop, base::Executor& pool) : loop_(loop), pool_(pool) {}
  ~PoolJobs();
  PoolJobs(const PoolJobs&) = delete;
  PoolJobs& operator=(const PoolJobs&) = delete;

  // `work` runs on the pool; the answer it gives leaves on the loop.
  void run(http::Responder responder, base::UniqueFunction<void(Answer)> work);
  // An Answer that may be given from any thread.
  [[nodiscard]] Answer answer(http::Responder responder);

 private:
  struct Gate {
    std::shared_mutex mutex;  // shared: a job runs
    bool closed = false;
  };
  base::Loop& loop_;
  base::Executor& pool_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();  // shared with the queued jobs
};

}  // namespace shoal::admin
