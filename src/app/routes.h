// The route table that the settings mean.
#pragma once

#include <memory>

#include "shoal/app/settings.h"
#include "shoal/serve/route.h"

namespace shoal::app {

[[nodiscard]] std::shared_ptr<const serve::RouteTable> make_routes(const Settings& settings);

}  // namespace shoal::app
