// SiteSupply: a fill's dealings with its site. Asks who has the blob or is bringing it, and takes it from there; or
// learns that this node is the one to ask upstream. DESIGN section 8, "Who fetches".
//
// It ends every consult() with one word to the Taker, later: your own turn, or a transfer from a neighbour. A neighbour
// that fails is avoided until bytes have come from another; one whose word was false, for good. That the trackers hear
// with each question: a fetcher that most avoid loses its lease (src/p2p/tracker_doubt.h). When the site has brought
// nothing for NeighbourOptions::patience, it is the fill's own turn, whoever holds the lease.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/p2p/neighbours.h"
#include "shoal/store/store.h"

namespace shoal::mirror {

class SiteSupply final : private p2p::PeerSink, private p2p::SwarmTaker {
 public:
  // The fill. Its calls come on the loop, never inside consult().
  class Taker {
   public:
    virtual ~Taker() = default;
    // Ask upstream. `fall_back`: "" if this node is the site's fetcher, else why it acts alone.
    virtual void on_own_turn(const std::string& fall_back) = 0;
    virtual void on_site_start(std::optional<std::uint64_t> total, bool proven) = 0;
    virtual fetch::Flow on_site_data(std::string_view bytes) = 0;
    virtual void on_site_end(std::optional<base::Error> error) = 0;  // then consult() again
    virtual void on_lease_lost() = 0;                                // another node fetches now: consult() again
    // The swarm brought pieces: the file is good up to `end`. At any time.
    virtual void on_swarm_bytes(std::uint64_t end) = 0;
    // What neighbours said contradicts itself, or what is here: begin again.
    virtual void on_site_corrupt(std::string why) = 0;
    // Where the swarm writes; null: nothing is kept.
    [[nodiscard]] virtual std::shared_ptr<store::PieceWriter> piece_file() = 0;
  };
  SiteSupply(p2p::Neighbours& site, base::Loop& loop, const base::Digest& digest, Taker& taker);
  ~SiteSupply() override;

  // `from`: the first byte that is missing. `repository`: canonical, for the neighbour's proof.
  void consult(std::optional<std::uint64_t> size, std::uint64_t from, std::string repository);
  void cancel();                    // what consult() began; nothing is called any more
  void resume();                    // after Flow::pause
  void progress();                  // upstream brings bytes: the lease is in use
  void sized(std::uint64_t size);   // upstream said how large it is
  void advance(std::uint64_t end);  // the file is good up to here
  [[nodiscard]] std::uint64_t claim(std::uint64_t begin, std::uint64_t end);  // see Swarming
  void leave_swarm();  // the file goes, or another takes its place
  void no_more_swarm();
  void complete(store::OpenBlob blob);  // the blob is in the store
  void refuse(std::string why);         // what the neighbour says cannot be: it is avoided; consult() again
  // All is here and does not match: holders that sent it, or told its pieces, are avoided for good. A fetcher is at the
  // second time: upstream may have sent it wrong bytes, and then it begins again as well.
  void blame();
  void forget_words() { vouched_.clear(); }  // what went wrong was nobody's
  void follow_one();  // they contradict each other: one at a time, so that the digest tells who is wrong
  void distrust();    // what neighbours sent was wrong again: no more of them, for this blob
  void leave();       // the fill is over

  [[nodiscard]] bool usable() const { return !distrusted_; }
  [[nodiscard]] bool following() const { return call_ != nullptr || in_swarm_; }
  [[nodiscard]] std::string authors() const;  // whose maps were followed last: their URLs, for a log; "": nobody's
  [[nodiscard]] bool swarming() const { return swarm_ != nullptr; }
  [[nodiscard]] bool in_swarm() const { return in_swarm_; }  // that is what is followed
  [[nodiscard]] bool bringing() const;                       // neighbours have brought some just now
  [[nodiscard]] bool trusts_proofs() const { return site_.options().trust_domain; }
  [[nodiscard]] const std::string& peer() const { return peer_.url; }  // the last one followed

 private:
  void ask();
  [[nodiscard]] std::vector<std::string> avoided() const;
  void vouches(const p2p::NodeInfo& node);
  void convict(std::string id);
  void advised(p2p::Ticket::Answer answer);
  void follow(const p2p::Follow& advice);
  [[nodiscard]] bool may_go_through() const;
  void again(std::chrono::milliseconds wait);
  void watch_lease();
  void own_turn(std::string fall_back);
  [[nodiscard]] bool join_swarm();
  void follow_swarm(std::vector<p2p::NodeInfo> authors);
  void watch_swarm();
  void left_behind();
  void swarm_ended(base::Error why);
  void on_peer_start(std::uint64_t offset, std::optional<std::uint64_t> total, bool proven) override;
  fetch::Flow on_peer_data(std::string_view bytes) override;
  void on_peer_end(std::optional<base::Error> error) override;
  void on_swarm_start(const p2p::NodeInfo& author, bool proven) override;
  void on_swarm_piece() override;
  void on_swarm_bytes(std::uint64_t end) override;
  void on_swarm_lost(base::Error why) override;
  void on_swarm_failed(base::Error why) override;

  p2p::Neighbours& site_;
  base::Loop& loop_;
  base::Digest digest_;
  Taker& taker_;
  std::unique_ptr<p2p::Ticket> ticket_;
  std::unique_ptr<p2p::PeerCall> call_;
  p2p::NodeInfo peer_;
  std::vector<std::string> avoid_;
  struct Voucher {
    std::string id;
    bool holds_all;
  };
  std::vector<Voucher> vouched_;        // what is here came from them, or on their word
  std::vector<std::string> suspected_;  // fetchers, by id
  std::vector<std::string> convicted_;  // by id; at most kMaxAvoid
  bool from_holders_ = false;           // those that are followed say that they hold all
  std::size_t most_authors_ = 3;        // at once
  std::string last_error_;
  std::optional<std::uint64_t> size_;
  std::uint64_t from_ = 0;
  std::string repository_;
  base::SteadyTime last_progress_;
  std::optional<base::SteadyTime> piece_at_;   // the last one of a neighbour
  std::optional<base::SteadyTime> own_since_;  // it is our turn
  unsigned crossings_ = 0;                     // waits in a row for a node of our zone that gets it from another
  base::Timer timer_;
  std::uint64_t question_ = 0;  // whose answer counts; older ones come for nobody
  bool distrusted_ = false;

  std::unique_ptr<p2p::Swarming> swarm_;
  std::uint64_t brought_ = 0;           // by the swarm: good up to here
  std::uint64_t on_disk_ = 0;           // of the blob, from its beginning
  std::vector<p2p::NodeInfo> authors_;  // whose word on pieces is followed
  base::SteadyTime followed_at_{};      // since when
  bool in_swarm_ = false;               // consult() led into the swarm
  bool swarm_began_ = false;            // ... and an author answered
  bool swarmless_ = false;              // the swarm is no use for this fill
  bool leading_ = false;                // this node is the site's fetcher
  bool through_ = false;                // what is followed are nodes that are getting it themselves
  bool through_failed_ = false;         // they brought nothing: not again before bytes came
  bool over_http_ = false;              // the next time, since those that were asked know of no swarm
};

}  // namespace shoal::mirror
