#include "shoal/app/serve.h"

#include <malloc.h>
#include <signal.h>

#include <cstdio>

#include "bus_error.h"
#include "node.h"
#include "shoal/obs/log.h"
#include "wakeups.h"

namespace shoal::app {
namespace {

using obs::Category;

constexpr std::chrono::seconds kChoresEvery{30};

// Buffers of a running fill are up to 1 MiB; as mappings of their own each would cost two calls and its page faults.
void keep_buffers_on_the_heap() {
  (void)::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  (void)::mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

bool ends(int signal) { return signal == SIGTERM || signal == SIGINT; }

void run(Node& node, Wakeups& wakeups) {
  for (;;) {
    const int signal = wakeups.wait(std::chrono::steady_clock::now() + kChoresEvery);
    if (signal == 0) {
      node.keep_store_up();
      node.save_health();
      node.collect_garbage_if_due();
      node.scrub_if_due();
      node.measure_quotas_if_due();
      node.warn_of_expiry();
    }
    if (signal == SIGHUP) (void)node.reload_now();  // it has logged what came of it
    if (ends(signal)) break;
  }
  const auto deadline = std::chrono::steady_clock::now() + node.drain_timeout();
  obs::info(Category::app, "stopping: running answers have {} ms", node.drain_timeout().count());
  node.begin_drain();
  while (!node.drained() && std::chrono::steady_clock::now() < deadline) {
    if (ends(wakeups.wait(deadline))) break;  // a second signal: at once
  }
  if (!node.drained()) obs::warn(Category::app, "{} connections are cut", node.connections());
  wakeups.restore_signals();  // a third: not even the store is closed
}

}  // namespace

int serve(const ServeRequest& request) {
  keep_buffers_on_the_heap();
  auto loaded = load_settings(request.source);
  if (!loaded.settings) {
    for (const auto& error : loaded.errors) std::fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }
  Wakeups wakeups;
  const auto& log = loaded.settings->log;
  obs::start_log({log.level, log.json, log.file});
  for (const auto& warning : loaded.warnings) obs::warn(Category::app, "{}", warning);
  explain_bus_errors(loaded.settings->storage.path + "/index");
  auto node = Node::start(request, std::move(loaded), wakeups);
  if (node) {
    run(**node, wakeups);
    (*node)->stop();
    obs::info(Category::app, "stopped");
  } else {
    obs::error(Category::app, "cannot start: {}", node.error().message());
  }
  const bool started = node.ok();
  if (node) node->reset();
  obs::stop_log();
  return started ? 0 : 1;
}

}  // namespace shoal::app
