// What a site's node counts. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "shoal/obs/metrics.h"

namespace shoal::p2p {

class P2pProbe {
 public:
  explicit P2pProbe(obs::Metrics& metrics);

  void advised(std::string_view advice);       // fetch, follow, wait, alone
  void tracker_failed(std::string_view call);  // announce, want
  void refused(std::string_view why);          // a caller of /p2p/v1/ or of the swarm
  void banned(std::string_view why);           // a node of the swarm, for a while
  void received(std::size_t bytes) { received_.add(bytes); }
  void served(std::uint64_t bytes) { served_.add(bytes); }
  void transfer_failed() { transfers_failed_.add(); }
  void peers(std::size_t n) { peers_.set(static_cast<double>(n)); }
  void trackers(std::size_t alive) { trackers_.set(static_cast<double>(alive)); }
  void tracked(std::size_t blobs, std::size_t leases);
  void shares(std::size_t open) { shares_.set(static_cast<double>(open)); }
  void unfinished(std::size_t bytes) { unfinished_.set(static_cast<double>(bytes)); }
  void pressed(bool by_memory) { pressed_.set(by_memory ? 1 : 0); }
  void upload_left(std::uint64_t rate) { upload_left_.set(static_cast<double>(rate)); }
  void piece_failed() { pieces_failed_.add(); }

 private:
  obs::Metrics& metrics_;
  obs::Counter& received_;
  obs::Counter& served_;
  obs::Counter& transfers_failed_;
  obs::Gauge& peers_;
  obs::Gauge& trackers_;
  obs::Gauge& tracked_blobs_;
  obs::Gauge& leases_;
  obs::Gauge& shares_;
  obs::Gauge& unfinished_;
  obs::Gauge& upload_left_;
  obs::Gauge& pressed_;
  obs::Counter& pieces_failed_;
};

}  // namespace shoal::p2p
