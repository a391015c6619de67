// MapSource: the body of GET /p2p/v1/pieces/<digest>: this node's piece map, as it grows, until the neighbour has had
// enough. On the loop that answers it.
#pragma once

#include "map_frames.h"
#include "shoal/base/byte_source.h"
#include "swarm_desk.h"

namespace shoal::p2p {

class MapSource final : public base::ByteSource {
 public:
  MapSource(MapAnswer answer, const Seal& seal, std::string nonce, base::Loop& loop);
  ~MapSource() override;
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override;
  void on_ready(base::UniqueFunction<void()> ready) override;

 private:
  void next_frame();
  void wake();
  void gather();  // wakes when it is time for another frame

  MapAnswer answer_;
  FrameWriter frames_;
  base::Loop& loop_;
  MapFeed::Cursor cursor_;
  std::shared_ptr<const std::string> chunk_;  // being sent
  std::size_t at_ = 0;
  bool placed_ = false;
  bool ended_ = false;
  base::SteadyTime last_frame_;
  base::Timer timer_;
  base::UniqueFunction<void()> ready_;
  base::Lifetime life_;
};

}  // namespace shoal::p2p
