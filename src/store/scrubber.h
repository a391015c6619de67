// Scrubber: hashes what is stored again, blob by blob in the order of their digests, a bounded number of bytes a step.
// Sound but touched (copied back from a backup, say): its record is renewed. Damaged or gone: quarantined and no longer
// held; a mirrored blob is fetched again when somebody asks, a hosted one has to be pushed again.
// On the disk executor; one step at a time.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/store/store.h"

namespace shoal::store {

struct Core;

class Scrubber {
 public:
  explicit Scrubber(Core& core) : core_(core) {}
  [[nodiscard]] ScrubReport step(std::uint64_t max_bytes);
  void restart();  // the next step begins a pass

 private:
  struct Looking;  // at one blob
  struct Condemned {
    base::Digest digest;
    BlobRecord record;
    std::uint64_t inode;  // of the damaged file; 0: there was none
  };
  bool quarantine(const Condemned& blob);
  bool next_blob(ScrubReport& report);                       // false: that was the last, or the index is unreadable
  bool read_on(ScrubReport& report, std::uint64_t& budget);  // false: the budget is used up
  void judge(ScrubReport& report);
  void condemn(const Condemned& blob, std::string_view why, ScrubReport& report);
  void retry_removals();

  Core& core_;
  std::mutex mutex_;  // steps; disk threads only
  std::shared_ptr<Looking> looking_;
  std::optional<base::Digest> last_;
  std::vector<Condemned> in_use_;  // but somebody reads them still
};

}  // namespace shoal::store
