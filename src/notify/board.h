// Board: what is known of one endpoint, for whoever asks. Written by the strand and the loop, read by any thread.
#pragma once

#include <mutex>

#include "shoal/notify/notify.h"

namespace shoal::notify {

class Board {
 public:
  template <class Edit>
  void edit(Edit change) {
    const std::lock_guard lock(mutex_);
    change(status_);
  }
  [[nodiscard]] EndpointStatus status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  mutable std::mutex mutex_;
  EndpointStatus status_;
};

}  // namespace shoal::notify
