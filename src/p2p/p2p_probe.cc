#include "p2p_probe.h"

namespace shoal::p2p {

P2pProbe::P2pProbe(obs::Metrics& m)
    : metrics_(m),
      received_(m.counter("shoal_p2p_received_bytes_total", "Bytes received from neighbours")),
      served_(m.counter("shoal_p2p_served_bytes_total", "Bytes sent to neighbours")),
      transfers_failed_(m.counter("shoal_p2p_transfers_failed_total", "Transfers from neighbours that broke off")),
      peers_(m.gauge("shoal_p2p_peers", "Neighbours this node knows")),
      trackers_(m.gauge("shoal_p2p_trackers_alive", "Trackers that answer")),
      tracked_blobs_(m.gauge("shoal_p2p_tracked_blobs", "Blobs this node's tracker has records of")),
      leases_(m.gauge("shoal_p2p_leases", "Leases this node's tracker has given out")),
      shares_(m.gauge("shoal_p2p_shares", "Blobs this node exchanges pieces of with neighbours")),
      unfinished_(m.gauge("shoal_p2p_unfinished_bytes", "Memory of pieces that are not in a file yet")),
      upload_left_(
          m.gauge("shoal_p2p_upload_rate_bytes",
                  "Bytes a second that may go to neighbours now: what clients leave of p2p.upload_rate; 0: any")),
      pressed_(m.gauge("shoal_p2p_memory_short", "1: memory is short, and nothing new is taken into the swarm")),
      pieces_failed_(
          m.counter("shoal_p2p_pieces_failed_total", "Pieces from neighbours that were not what they should be")) {}

void P2pProbe::advised(std::string_view advice) {
  metrics_
      .counter("shoal_p2p_advice_total", "What the site said when this node needed something",
               {{"advice", std::string(advice)}})
      .add();
}

void P2pProbe::tracker_failed(std::string_view call) {
  metrics_
      .counter("shoal_p2p_tracker_failures_total", "Questions to trackers that got no answer",
               {{"call", std::string(call)}})
      .add();
}

void P2pProbe::refused(std::string_view why) {
  metrics_
      .counter("shoal_p2p_refused_total", "Strangers, or banned neighbours, that were turned away",
               {{"why", std::string(why)}})
      .add();
}

void P2pProbe::banned(std::string_view why) {
  metrics_
      .counter("shoal_p2p_bans_total", "Neighbours whose pieces are not taken for a while, and that get none",
               {{"why", std::string(why)}})
      .add();
}

void P2pProbe::tracked(std::size_t blobs, std::size_t leases) {
  tracked_blobs_.set(static_cast<double>(blobs));
  leases_.set(static_cast<double>(leases));
}

}  // namespace shoal::p2p
