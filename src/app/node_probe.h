// The node's own metrics, read at each scrape: process, loops, store, upstreams, logs.
#pragma once

#include <memory>
#include <vector>

#include "shoal/obs/access_log.h"
#include "shoal/obs/metrics.h"
#include "shoal/store/store.h"
#include "upstream_states.h"
#include "worker.h"

namespace shoal::app {

void probe_certificate(obs::Metrics& metrics, base::WallTime expires);

// Registers them. Everything named outlives the last scrape.
void probe_node(obs::Metrics& metrics, const std::string& version, base::WallTime started, const store::Store& store,
                UpstreamStates& upstreams, const obs::AccessLog& access_log,
                const std::vector<std::unique_ptr<Worker>>& workers);

}  // namespace shoal::app
