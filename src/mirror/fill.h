// Fill: the one running acquisition of a blob. Lives on the loop that owns the digest; belongs to the mirror, not to
// the client that caused it. Fetches from its sources in turn, resuming where it was; writes and hashes off the loop;
// tells its readers through FillState; publishes when the digest matches.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fill_state.h"
#include "index.h"
#include "mirror_probe.h"
#include "shoal/mirror/mirror.h"
#include "site_supply.h"

namespace shoal::mirror {

struct FillSource {
  std::shared_ptr<upstream::Registry> upstream;  // shared: see UpstreamSet
  std::string registry;
  std::string repository;  // upstream's path
  std::string canonical;
};

inline constexpr std::chrono::milliseconds kSiteAgain{20};  // before the site is asked again

class Fill final : private upstream::BlobSink, private SiteSupply::Taker {
 public:
  struct Parts {
    base::Loop& loop;
    base::Clock& clock;
    Index& index;
    base::Executor& disk;
    MirrorProbe& probe;
    obs::EventSink& events;
    p2p::Neighbours* site = nullptr;  // null: this node has no neighbours
  };
  // `proven`: the source's repository is known to have the blob. `file` keeps the bytes if `kept`, else only hashes.
  Fill(const Parts& parts, const MirrorOptions& options, const base::Digest& digest, FillSource source,
       std::optional<std::uint64_t> size, bool proven, std::unique_ptr<store::FillFile> file, bool kept);
  ~Fill() override;

  // Before start(). `finished` runs once, posted, when the fill is over either way (the state tells which): drop it
  // then.
  void when_finished(base::UniqueFunction<void()> finished) { finished_ = std::move(finished); }
  void start();
  // A request of a repository that has proven its right, or of one that is already a source, joins; a stuck fetch is
  // retried for it.
  void join(FillSource source);
  // `answer` runs once, later, when there is something to tell: upstream said yes, the blob is verified, or it failed.
  void when_answerable(bool gated, base::UniqueFunction<void()> answer);

  [[nodiscard]] bool answerable(const std::string& canonical) const { return can_answer(gates(canonical)); }
  // Readers of that repository must not see a byte before upstream has said that it has the blob.
  [[nodiscard]] bool gates(const std::string& canonical) const { return canonical == unproven_; }
  [[nodiscard]] const std::shared_ptr<FillState>& state() const { return state_; }
  [[nodiscard]] bool over() const { return state_now_ == State::finished; }  // and not for use unless verified
  [[nodiscard]] bool serves(const std::string& canonical) const;             // is it one of the sources?
  [[nodiscard]] bool kept() const { return kept_; }
  [[nodiscard]] bool publishing() const { return state_now_ == State::publishing; }
  // Bytes come from a neighbour: a fill that others must not follow, lest two follow each other.
  [[nodiscard]] bool follows() const {
    const bool held = held_ && held_->from == Origin::neighbour;
    return site_ && (state_now_ == State::consulting || site_->following() || held);
  }
  [[nodiscard]] const FillSource& source() const { return sources_[current_]; }
  [[nodiscard]] bool can_serve_from(std::uint64_t begin) const { return state_->covers(begin); }

 private:
  enum class State {
    idle,
    opening,
    proving,
    consulting,
    asking,
    streaming,
    waiting,
    checking,
    publishing,
    restarting,
    finished
  };
  void enter(State next) { state_now_ = next; }

  [[nodiscard]] bool can_answer(bool gated) const;
  void opened(base::Result<std::uint64_t> kept);
  void prove();
  void proved();
  void ask();
  void on_start(std::uint64_t offset, std::optional<std::uint64_t> total) override;
  fetch::Flow on_data(std::string_view bytes) override;
  void on_end(std::optional<upstream::Failure> failure) override;
  void on_own_turn(const std::string& fall_back) override;
  void on_site_start(std::optional<std::uint64_t> total, bool proven) override;
  fetch::Flow on_site_data(std::string_view bytes) override;
  void on_site_end(std::optional<base::Error> error) override;
  void on_lease_lost() override;
  void on_swarm_bytes(std::uint64_t end) override;
  void on_site_corrupt(std::string why) override;
  [[nodiscard]] std::shared_ptr<store::PieceWriter> piece_file() override;
  void absorbed(std::uint64_t end, const base::Result<std::uint64_t>& result);
  void wait_for_swarm();
  fetch::Flow hold(std::string_view bytes, Origin from);
  void let_go();
  void stop_reading();
  void ask_upstream();
  void prove_beside();
  void started(std::optional<std::uint64_t> total);
  fetch::Flow take(std::string_view bytes, Origin from);
  void flush_soon();
  void flush();
  void appended(const std::shared_ptr<const std::string>& bytes, const base::Result<std::uint64_t>& result);
  void look_for_room();
  void stop_keeping(std::string_view why);
  void only_hash();
  void drained();
  void resume_if_room();
  void watch_laggards();
  void retry(upstream::Failure failure);
  void drop_source(Refusal refusal);
  void remember_absent(const FillSource& source);
  void check();
  void checked(const base::Result<bool>& matches);
  enum class WhoWasWrong {
    whoever_sent_it,
    neighbours,   // all of it matches what they said, and not the digest
    one_of_them,  // they contradict each other, or what is here
  };
  void start_over(std::string why, WhoWasWrong who = WhoWasWrong::whoever_sent_it);
  void publish();
  void tell_sources(std::chrono::milliseconds took) const;
  void tell_filled(std::chrono::milliseconds took);
  void give_up(Refusal refusal);
  void abandon();
  void finish();
  void became_answerable();
  [[nodiscard]] std::string subject() const;
  [[nodiscard]] bool is_proven() const { return unproven_.empty(); }
  [[nodiscard]] bool fetching() const;
  [[nodiscard]] bool congested() const;
  [[nodiscard]] bool site_brought() const;  // some of the bytes so far
  [[nodiscard]] bool pointless() const;

  struct Proof;
  struct Answer {
    bool gated;
    base::UniqueFunction<void()> run;
  };

  Parts parts_;
  MirrorOptions options_;
  base::Digest digest_;
  std::vector<FillSource> sources_;
  std::size_t current_ = 0;
  std::string unproven_;  // canonical name of the first source until upstream said it has the blob; then ""
  std::optional<std::uint64_t> sure_size_;  // from a manifest; upstream's own word is good for one round only
  std::unique_ptr<store::FillFile> file_;
  bool kept_;
  base::UniqueFunction<void()> finished_;
  std::shared_ptr<FillState> state_;
  State state_now_ = State::idle;

  upstream::Call call_;
  std::unique_ptr<SiteSupply> site_;  // null: no neighbours
  bool from_site_ = false;            // what failed last was a neighbour, not upstream
  std::uint64_t upstream_bytes_ = 0;  // all that it sent, in vain or not
  std::unique_ptr<Proof> proof_;
  // What came of a transfer that waits until a neighbour has brought what comes first.
  struct Held {
    std::string bytes;  // from received_ on
    Origin from;
    bool ended = false;  // nothing follows
  };
  std::optional<Held> held_;
  base::Timer timer_;
  base::Timer lingering_;  // armed while gathered_ waits for more
  base::SteadyTime last_flush_{};
  base::Timer laggards_;        // armed while memory is full of bytes that some reader has not taken
  std::uint64_t received_ = 0;  // bytes of the blob handed to flush() so far, from its beginning
  std::uint64_t skip_ = 0;      // of this answer, already had
  std::uint64_t in_vain_ = 0;   // of this answer, what neighbours brought since it began
  std::string gathered_;        // not yet on its way to the disk
  Origin gathered_from_ = Origin::upstream;
  std::deque<std::shared_ptr<const std::string>> writing_;
  std::uint64_t writing_bytes_ = 0;
  bool paused_ = false;
  bool failed_over_ = false;  // the current silence was already answered by a new attempt
  bool ended_ = false;        // upstream's answer is in; the disk has the rest to do
  std::optional<upstream::Failure> pending_failure_;
  unsigned attempt_ = 0;    // over the fill's life: rotates URLs
  unsigned fruitless_ = 0;  // attempts since bytes last arrived
  unsigned restarts_ = 0;
  std::uint64_t attempt_began_at_ = 0;
  std::uint64_t resumed_from_ = 0;
  bool started_ = false;
  base::SteadyTime began_{};
  base::SteadyTime last_progress_{};
  std::uint64_t look_for_room_at_;
  std::vector<Answer> answers_;
  base::Lifetime life_;
};

}  // namespace shoal::mirror
