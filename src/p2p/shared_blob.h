// SharedBlob: one blob as the disk interface and the Share both see it: which pieces are good, the piece map, whom bad
// pieces are to be blamed on. Any thread; lives as long as its last user (shared_ptr: the session, disk jobs, the
// Share), so that a file outlives a torrent that is being removed.
//
// A piece is open, claimed (upstream writes it), being written (a peer's, proven), or good. Events go to a BlobEvents,
// on whichever thread makes them, never under the lock.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "blame.h"
#include "fresh_pieces.h"
#include "naming.h"
#include "shoal/base/clock.h"
#include "shoal/base/unique_function.h"
#include "shoal/p2p/share.h"

namespace shoal::p2p {

class BlobEvents {
 public:
  virtual ~BlobEvents() = default;
  virtual void piece_good(std::uint32_t piece) = 0;
  virtual void piece_bad(std::uint32_t piece, Judgement judgement) = 0;  // also when blame was found in hindsight
  virtual void map_missing(std::uint32_t piece) = 0;
  virtual void piece_restored(std::uint32_t piece) = 0;  // it is open again: somebody must be made to ask for it
  virtual void trouble(base::Error error) = 0;
};

class SharedBlob final : public PieceClaims {
 public:
  // Called once: the piece may be looked at again, or (`give_up`) is to be dropped.
  using Again = base::UniqueFunction<void(bool give_up)>;

  SharedBlob(Naming naming, std::shared_ptr<PieceFile> file, std::shared_ptr<BlobEvents> events,
             const ShareState& state);
  SharedBlob(const SharedBlob&) = delete;
  SharedBlob& operator=(const SharedBlob&) = delete;

  [[nodiscard]] const Naming& naming() const { return naming_; }
  [[nodiscard]] PieceFile& file() { return *file_; }
  [[nodiscard]] BlobEvents& events() { return *events_; }
  [[nodiscard]] bool good(std::uint32_t piece) const override { return state(piece) == State::good; }
  [[nodiscard]] bool expected(std::uint32_t piece) const override;
  [[nodiscard]] bool open(std::uint32_t piece) const { return state(piece) == State::open; }
  [[nodiscard]] std::uint32_t good_count() const { return good_count_.load(std::memory_order_acquire); }
  [[nodiscard]] bool complete() const { return good_count() == naming_.pieces(); }
  [[nodiscard]] FreshPieces& fresh() { return fresh_; }
  [[nodiscard]] NodesAt& nodes_at() { return nodes_at_; }

  // --- the Share's side ---
  [[nodiscard]] bool claim(std::uint32_t piece) override;
  void unclaim(std::uint32_t piece) override;
  void have(std::uint32_t piece);
  void learn(std::uint32_t piece, const PieceHash& hash);
  [[nodiscard]] std::optional<PieceHash> entry(std::uint32_t piece) const;
  void expire(base::SteadyTime now);  // drops pieces that waited for their entry until now
  void resume_writing();              // after write_failed()
  void close();                       // drops what waits and what is yet to come
  // Who was found guilty by this blob's map, once. What the map is worth shows at the end only.
  [[nodiscard]] std::vector<PeerRef> take_convicted();

  // --- the disk interface's side ---
  enum class Next { good, write, mismatch, wait, drop };
  // What to do with a whole piece of a peer. write: it is the caller's to write and to answer for with written(); wait:
  // `again` was taken and will be called.
  [[nodiscard]] Next next(std::uint32_t piece, const PieceHash& hash, base::SteadyTime deadline, Again& again);
  [[nodiscard]] Judgement written(std::uint32_t piece, std::string_view bytes);  // blame found in hindsight
  void write_failed(std::uint32_t piece, const base::Error& error);
  // It did not match.
  [[nodiscard]] Judgement blame(std::uint32_t piece, std::string_view bytes, const PieceHash& hash,
                                const std::vector<PeerRef>& authors);
  void give_up_waiting();

 private:
  enum class State : std::uint8_t { open, claimed, writing, good };
  struct Wait {
    std::uint32_t piece;
    base::SteadyTime deadline;
    bool for_entry;
    Again again;
  };
  [[nodiscard]] State state(std::uint32_t piece) const { return states_[piece].load(std::memory_order_acquire); }
  void enter_good(std::uint32_t piece);  // under the lock
  template <class P>
  [[nodiscard]] std::vector<Wait> take_waits(P which);  // under the lock

  const Naming naming_;
  FreshPieces fresh_;
  NodesAt nodes_at_;
  const std::shared_ptr<PieceFile> file_;
  const std::shared_ptr<BlobEvents> events_;
  std::vector<std::atomic<State>> states_;  // changed under the lock
  std::atomic<std::uint32_t> good_count_{0};

  mutable std::mutex mutex_;
  std::vector<PieceHash> map_;
  std::vector<bool> known_;
  std::vector<Wait> waits_;
  Blame blame_;
  std::vector<PeerRef> convicted_;
  bool closed_ = false;
  bool stuck_ = false;  // writing failed: nothing is written until resume_writing()
};

}  // namespace shoal::p2p
