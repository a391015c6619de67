#include "pool_jobs.h"

#include <mutex>

namespace shoal::admin {

PoolJobs::~PoolJobs() {
  const std::unique_lock lock(gate_->mutex);
  gate_->closed = true;
}

PoolJobs::Answer PoolJobs::answer(http::Responder responder) {
  return [&loop = loop_, responder](http::Response response) {
    loop.post([responder, response = std::move(response)]() mutable {
      http::Responder(responder).send(std::move(response));
    });
  };
}

void PoolJobs::run(http::Responder responder, base::UniqueFunction<void(Answer)> work) {
  pool_.post([gate = gate_, work = std::move(work), answer = answer(std::move(responder))]() mutable {
    const std::shared_lock lock(gate->mutex);
    if (!gate->closed) work(std::move(answer));
  });
}

}  // namespace shoal::admin
