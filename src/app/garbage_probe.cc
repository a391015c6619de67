#include "garbage_probe.h"

namespace shoal::app {

GarbageProbe::GarbageProbe(obs::Metrics& m)
    : running_(m.gauge("shoal_gc_running", "1 while garbage is being collected.")),
      seconds_(m.gauge("shoal_gc_last_seconds", "How long the last garbage collection took.")),
      rounds_(m.counter("shoal_gc_rounds_total", "Garbage collections that ended well.")),
      failures_(m.counter("shoal_gc_failures_total", "Garbage collections that failed.")),
      blobs_(m.counter("shoal_gc_removed_blobs_total", "Blobs removed as garbage.")),
      manifests_(m.counter("shoal_gc_removed_manifests_total", "Manifests removed as garbage.")),
      bytes_(m.counter("shoal_gc_freed_bytes_total", "Bytes freed by the garbage collector.")) {}

void GarbageProbe::began() { running_.set(1); }

void GarbageProbe::failed() {
  running_.set(0);
  failures_.add();
}

void GarbageProbe::looked() { running_.set(0); }

void GarbageProbe::done(const store::GcReport& report, std::chrono::duration<double> took) {
  running_.set(0);
  seconds_.set(took.count());
  rounds_.add();
  blobs_.add(report.blobs_removed);
  manifests_.add(report.manifests_removed);
  bytes_.add(report.bytes_freed);
}

}  // namespace shoal::app
