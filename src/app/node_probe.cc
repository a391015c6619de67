#include "node_probe.h"

#include "process_info.h"
#include "shoal/obs/log.h"

namespace shoal::app {
namespace {

// A counter that follows a total kept elsewhere.
void follow(obs::Counter& counter, std::uint64_t total) {
  const auto value = counter.value();
  if (total > value) counter.add(total - value);
}

void scrape_process(obs::Metrics& m) {
  const auto info = process_info();
  m.gauge("process_resident_memory_bytes", "Resident memory.").set(static_cast<double>(info.resident_bytes));
  m.gauge("process_open_fds", "Open file descriptors.").set(static_cast<double>(info.open_files));
  m.gauge("process_max_fds", "Limit of open file descriptors.").set(static_cast<double>(info.max_files));
  m.gauge("process_cpu_seconds", "CPU time used, user and system.").set(info.cpu_seconds);
}

void scrape_store(obs::Metrics& m, const store::Store& store) {
  const auto usage = store.usage();
  const auto gauge = [&m](const char* name, const char* help, std::uint64_t value) {
    m.gauge(name, help).set(static_cast<double>(value));
  };
  gauge("shoal_store_blob_bytes", "Bytes of complete blobs.", usage.blob_bytes);
  gauge("shoal_store_blobs", "Complete blobs.", usage.blobs);
  gauge("shoal_store_fill_bytes", "Bytes of blobs that are still arriving.", usage.fill_bytes);
  gauge("shoal_store_manifests", "Manifests held.", usage.manifests);
  gauge("shoal_store_tags", "Tags remembered.", usage.tags);
  gauge("shoal_store_free_bytes", "Free bytes of the filesystem.", usage.free_bytes);
  if (usage.room_bytes != UINT64_MAX) {
    gauge("shoal_store_room_bytes", "The largest blob that could be kept, if all went that may.", usage.room_bytes);
  }
  gauge("shoal_store_read_only", "1: a failed sync made the store read-only, until its disk writes again.",
        usage.read_only ? 1 : 0);
  gauge("shoal_index_used_bytes", "Bytes of the LMDB index in use.", usage.index_used);
  gauge("shoal_index_size_bytes", "Bytes the LMDB index may grow to.", usage.index_size);
  follow(m.counter("shoal_store_evicted_blobs_total", "Blobs evicted."), usage.evicted_blobs);
  follow(m.counter("shoal_store_evicted_bytes_total", "Bytes evicted."), usage.evicted_bytes);
  follow(m.counter("shoal_store_quarantined_total", "Files put into quarantine."), usage.quarantined);
  follow(m.counter("shoal_store_read_errors_total", "Reads of stored blobs that the disk failed."), usage.read_errors);
  follow(m.counter("shoal_store_write_errors_total", "Writes and syncs that the disk failed, but for want of room."),
         usage.write_errors);
}

void scrape_upstream(obs::Metrics& m, const upstream::UpstreamState& state) {
  const auto name = state.options()->name;
  const obs::Labels labels{{"upstream", name}};
  const auto health = state.health();
  const auto counts = state.counts();
  m.gauge("shoal_upstream_up", "0: recent calls failed on every URL.", labels).set(health.open ? 0 : 1);
  if (health.rate_limit_remaining) {
    m.gauge("shoal_upstream_rate_limit_remaining", "Pulls left, as the upstream last said.", labels)
        .set(static_cast<double>(*health.rate_limit_remaining));
  }
  if (health.rate_limit_limit) {
    m.gauge("shoal_upstream_rate_limit", "Pulls allowed, as the upstream last said.", labels)
        .set(static_cast<double>(*health.rate_limit_limit));
  }
  follow(m.counter("shoal_upstream_requests_total", "Requests to the upstream.", labels), counts.requests);
  follow(m.counter("shoal_upstream_token_requests_total", "Token requests.", labels), counts.token_requests);
  follow(m.counter("shoal_upstream_failures_total", "Calls that failed.", labels), counts.failures);
  const std::pair<const char*, std::uint64_t> classes[] = {{"2xx", counts.status_2xx}, {"3xx", counts.status_3xx},
                                                           {"4xx", counts.status_4xx}, {"429", counts.status_429},
                                                           {"5xx", counts.status_5xx}, {"none", counts.no_answer}};
  for (const auto& [kind, count] : classes) {
    follow(m.counter("shoal_upstream_responses_total", "Answers of the upstream by status; none: it did not answer.",
                     {{"upstream", name}, {"status", kind}}),
           count);
  }
  m.gauge("shoal_upstream_fetches_running", "Blob fetches under way.", labels)
      .set(static_cast<double>(counts.running_fetches));
  m.gauge("shoal_upstream_fetches_waiting", "Blob fetches that wait for max_fetches.", labels)
      .set(static_cast<double>(counts.waiting_fetches));
}

void scrape_worker(obs::Metrics& m, Worker& worker) {
  const obs::Labels labels{{"loop", std::to_string(worker.loop().index())}};
  m.gauge("shoal_loop_lag_seconds", "How late the loop's last heartbeat was.", labels)
      .set(std::chrono::duration<double>(worker.loop().lag()).count());
  m.gauge("shoal_connections", "Open client connections.", labels).set(static_cast<double>(worker.connections()));
}

// Fine about 5 ms: more than that, and clients notice.
std::vector<double> turn_bounds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.5, 1};
}

void measure_loop(obs::Metrics& m, net::EventLoop& loop) {
  const obs::Labels labels{{"loop", std::to_string(loop.index())}};
  loop.measure(m.histogram("shoal_loop_turn_seconds",
                           "How long one turn of the event loop took: nobody else is served.", turn_bounds(), labels),
               m.histogram("shoal_loop_wait_seconds",
                           "How long work that another thread handed to the event loop waited for its turn.",
                           turn_bounds(), labels));
}

}  // namespace

void probe_certificate(obs::Metrics& metrics, base::WallTime expires) {
  metrics
      .gauge("shoal_tls_certificate_expiry_timestamp_seconds",
             "When the certificate of server.tls expires, since the epoch.")
      .set(std::chrono::duration<double>(expires.time_since_epoch()).count());
}

void probe_node(obs::Metrics& metrics, const std::string& version, base::WallTime started, const store::Store& store,
                UpstreamStates& upstreams, const obs::AccessLog& access_log,
                const std::vector<std::unique_ptr<Worker>>& workers) {
  metrics.gauge("shoal_build_info", "Always 1.", {{"version", version}}).set(1);
  metrics.gauge("process_start_time_seconds", "When the process started, since the epoch.")
      .set(std::chrono::duration<double>(started.time_since_epoch()).count());
  for (const auto& worker : workers) measure_loop(metrics, worker->loop());
  metrics.on_scrape([&metrics, &store, &upstreams, &access_log, &workers] {
    scrape_process(metrics);
    scrape_store(metrics, store);
    for (const auto& state : upstreams.all()) scrape_upstream(metrics, *state);
    for (const auto& worker : workers) scrape_worker(metrics, *worker);
    follow(metrics.counter("shoal_log_lines_lost_total", "Log lines dropped because the queue was full."),
           obs::lost_log_lines());
    follow(metrics.counter("shoal_access_lines_lost_total", "Access log lines dropped."), access_log.dropped());
  });
}

}  // namespace shoal::app
