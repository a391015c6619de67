#include "scrub_probe.h"

namespace shoal::app {

ScrubProbe::ScrubProbe(obs::Metrics& m)
    : blobs_(m.counter("shoal_scrubbed_blobs_total", "Blobs hashed again by the scrubber.")),
      bytes_(m.counter("shoal_scrubbed_bytes_total", "Bytes hashed again by the scrubber.")),
      damaged_(m.counter("shoal_scrub_damaged_total", "Blobs the scrubber found damaged.")),
      passes_(m.counter("shoal_scrub_passes_total", "Whole passes of the scrubber.")) {}

void ScrubProbe::stepped(const store::ScrubReport& report) {
  blobs_.add(report.blobs);
  bytes_.add(report.bytes);
  damaged_.add(report.damaged);
  if (report.whole) passes_.add();
}

}  // namespace shoal::app
