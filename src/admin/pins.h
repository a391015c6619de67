// Pins: what a manifest leads to, kept from eviction; and which there are. On the pool.
//
// Each blob and manifest of a pin is marked in the index (PinBlob). That it was pinned, by which name and when, is a
// state of its own, "pin/<digest>", for the list.
#pragma once

#include <string>
#include <string_view>

#include "images.h"
#include "pool_jobs.h"
#include "shoal/admin/admin.h"

namespace shoal::admin {

enum class Pin { keep, release };
struct PinRequest {
  std::string digest;
  std::string name{};  // as the operator wrote it, for the list
  Pin pin = Pin::keep;
  bool dry_run = false;
};
// A blob; or a manifest with all it leads to that is held here. What is missing is told.
void set_pin(store::Store& store, base::Executor& on, base::WallTime now, const PinRequest& request,
             PoolJobs::Answer answer);
[[nodiscard]] http::Response list_pins(store::Store& store, const Page& page);

}  // namespace shoal::admin
