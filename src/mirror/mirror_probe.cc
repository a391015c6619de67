#include "mirror_probe.h"

namespace shoal::mirror {
namespace {

// By source: upstream, neighbour, swarm, disk. Their sum is what was fetched and verified.
obs::Counter& fill_bytes(obs::Metrics& metrics, const char* source) {
  return metrics.counter("shoal_fill_bytes_total", "Bytes of verified blobs, by where they came from",
                         {{"source", source}});
}

// One copy is normal for a node alone; in a site, of the nodes' figures for one blob the sum.
std::vector<double> copies_bounds() { return {0, 0.01, 0.05, 0.25, 0.5, 1, 1.02, 1.05, 1.5, 2}; }

}  // namespace

MirrorProbe::MirrorProbe(obs::Metrics& m)
    : metrics_(m),
      upstream_bytes_(m.counter("shoal_upstream_blob_bytes_total", "Blob bytes received from upstream registries")),
      joined_fills_(
          m.counter("shoal_collapsed_total", "Requests that joined a fetch already running", {{"object", "blob"}})),
      joined_flights_(
          m.counter("shoal_collapsed_total", "Requests that joined a fetch already running", {{"object", "manifest"}})),
      resumed_fills_(m.counter("shoal_fills_resumed_total", "Fills that went on from bytes an earlier run had kept")),
      resumed_bytes_(m.counter("shoal_fill_resumed_bytes_total", "Bytes those fills did not fetch again")),
      published_(m.counter("shoal_fills_published_total", "Blobs fetched, verified and kept")),
      published_bytes_(m.counter("shoal_fill_published_bytes_total", "Bytes of the blobs fetched, verified and kept")),
      passed_through_(m.counter("shoal_fills_passed_through_total", "Blobs passed on, verified, without being kept")),
      fills_running_(m.gauge("shoal_fills_running", "Blobs being fetched now")),
      fill_seconds_(
          m.histogram("shoal_fill_seconds", "From a fill's start to its blob in the store", obs::latency_bounds())),
      copies_(m.histogram("shoal_upstream_copies", "Bytes that upstream sent for a verified blob, by its size",
                          copies_bounds())),
      from_upstream_(fill_bytes(m, "upstream")),
      from_neighbours_(fill_bytes(m, "neighbour")),
      from_swarm_(fill_bytes(m, "swarm")),
      from_disk_(fill_bytes(m, "disk")) {}

void MirrorProbe::fill_started(std::string_view registry) {
  metrics_.counter("shoal_fills_total", "Blob fetches started", {{"upstream", std::string(registry)}}).add();
}

void MirrorProbe::fill_resumed(std::uint64_t kept) {
  resumed_fills_.add();
  resumed_bytes_.add(kept);
}

void MirrorProbe::fill_joined() { joined_fills_.add(); }

void MirrorProbe::fill_published(std::uint64_t bytes, std::chrono::milliseconds took) {
  published_.add();
  published_bytes_.add(bytes);
  fill_seconds_.observe(std::chrono::duration<double>(took).count());
}

void MirrorProbe::fill_passed_through() { passed_through_.add(); }

void MirrorProbe::fill_verified(const BytesFrom& from, std::uint64_t sent) {
  const auto size = from.disk + from.upstream + from.neighbours;
  copies_.observe(size == 0 ? 0 : static_cast<double>(sent) / static_cast<double>(size));
  from_upstream_.add(from.upstream);
  from_neighbours_.add(from.neighbours - from.swarm);
  from_swarm_.add(from.swarm);
  from_disk_.add(from.disk);
}

void MirrorProbe::fill_failed(std::string_view why) {
  metrics_.counter("shoal_fills_failed_total", "Fills given up", {{"why", std::string(why)}}).add();
}

void MirrorProbe::fill_retried(std::string_view registry, std::string_view why) {
  metrics_
      .counter("shoal_fill_retries_total", "Attempts repeated inside a fill",
               {{"upstream", std::string(registry)}, {"why", std::string(why)}})
      .add();
}

void MirrorProbe::blob_was_corrupt(std::string_view registry) {
  metrics_
      .counter("shoal_corrupt_blobs_total", "Blobs whose bytes did not match their digest; fetched again",
               {{"upstream", std::string(registry)}})
      .add();
}

void MirrorProbe::site_turn(std::string_view role) {
  metrics_
      .counter("shoal_site_turns_total", "Turns of fills within the site: asking upstream for all, following, alone",
               {{"role", std::string(role)}})
      .add();
}

void MirrorProbe::site_was_corrupt() {
  metrics_.counter("shoal_site_corrupt_blobs_total", "Blobs of neighbours that did not match their digest").add();
}

void MirrorProbe::manifest_fetched(std::string_view registry) {
  metrics_.counter("shoal_manifest_fetches_total", "Manifests fetched", {{"upstream", std::string(registry)}}).add();
}

void MirrorProbe::tag_checked(std::string_view registry, std::string_view outcome) {
  metrics_
      .counter("shoal_tag_checks_total", "Tags asked upstream, by outcome",
               {{"upstream", std::string(registry)}, {"outcome", std::string(outcome)}})
      .add();
}

void MirrorProbe::stale_served(std::string_view registry) {
  metrics_
      .counter("shoal_stale_served_total", "Tags served past their freshness", {{"upstream", std::string(registry)}})
      .add();
}

}  // namespace shoal::mirror
