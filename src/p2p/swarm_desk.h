// SwarmDesk: the blobs of this node that are in the swarm. A fill opens its blob here, a neighbour that wants pieces
// subscribes to it; a stored blob is opened when somebody asks, and closed when nobody needs it any more. Home loop;
// DeskDoor lets other threads in.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "memory_pressure.h"
#include "swarmed_blob.h"

namespace shoal::p2p {

class Swarm;

// What a neighbour asked for.
struct MapQuestion {
  base::Digest digest;
  std::uint64_t size = 0;
  PeerAddress peer;
  bool wants_call = false;
};
struct MapAnswer {
  std::uint16_t swarm_port = 0;
  std::uint64_t taker = 0;  // the asker's id, in the feed
  MapPlace place;
  std::shared_ptr<MapFeed> feed;
  std::shared_ptr<void> hold;  // ends the subscription, on any thread
};
using MapAnswered = base::UniqueFunction<void(base::Result<MapAnswer>)>;

class SwarmDesk {
 public:
  SwarmDesk(Site::Core& core, base::Loop& home, fetch::Client& streams);
  ~SwarmDesk();
  // `listening`: the port, or why there is no swarm.
  void start(base::UniqueFunction<void(base::Result<std::uint16_t>)> listening);
  void stop(base::UniqueFunction<void()> stopped);

  // A fill's.
  void open(const std::shared_ptr<SwarmLink>& link);
  void leave(const SwarmLink& link);
  [[nodiscard]] SwarmedBlob* find(const SwarmLink& link);

  // `done` runs once, on this loop. not_found: this node has no part in that blob, or not of that size.
  void subscribe(MapQuestion question, MapAnswered done);
  void unsubscribe(const base::Digest& digest, std::uint64_t id);

  [[nodiscard]] std::vector<SwarmStatus> status() const;

 private:
  struct Asked {
    MapQuestion question;
    MapAnswered done;
    base::SteadyTime until;
  };
  [[nodiscard]] SwarmedBlob* stored(const base::Digest& digest, std::uint64_t size);
  void answer(SwarmedBlob& blob, Asked asked);
  bool close_one_unused();
  void answer_waiting(SwarmedBlob& blob);
  void sweep();
  void pace();
  void look_at_memory();
  void close(const base::Digest& digest);
  [[nodiscard]] SwarmedBlob::Parts parts();

  Site::Core& core_;
  base::Loop& home_;
  fetch::Client& streams_;
  std::unique_ptr<Swarm> swarm_;
  Rates rates_;  // of the swarm
  std::unordered_map<base::Digest, std::unique_ptr<SwarmedBlob>> blobs_;
  std::deque<Asked> asked_;  // of blobs whose fill may be about to open them

  struct KnownMap {
    base::Digest digest;
    std::vector<MapEntry> entries;
  };
  std::list<KnownMap> maps_;  // of stored blobs, last used first
  std::size_t map_entries_ = 0;
  base::Timer timer_;
  base::Timer pace_timer_;
  base::Timer memory_timer_;
  PressureSwitch memory_;  // pressed: nothing new is taken into the swarm
  base::Lifetime life_;
};

// Leads to the desk from any thread, as long as there is one.
class DeskDoor {
 public:
  template <class F>
  void post(const std::shared_ptr<DeskDoor>& self, F f) {
    const std::lock_guard lock(mutex_);
    if (home_ == nullptr) return;
    home_->post([self, f = std::move(f)]() mutable {
      if (self->desk_ != nullptr) f(*self->desk_);
    });
  }
  void open(base::Loop& home, SwarmDesk& desk);  // on the home loop
  void close();                                  // there, too
  [[nodiscard]] bool is_open() const;

 private:
  mutable std::mutex mutex_;
  base::Loop* home_ = nullptr;
  SwarmDesk* desk_ = nullptr;  // the home loop's
};

}  // namespace shoal::p2p
