// BlobDesk: opens blobs whose digest this loop owns. At most one fill per digest that can be joined; at most one proof
// per repository and digest.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "desk.h"
#include "retrier.h"

namespace shoal::mirror {

class BlobDesk {
 public:
  BlobDesk(const DeskParts& parts, const MirrorOptions& options);
  ~BlobDesk();

  void open(const Target& target, const base::Digest& digest, Box<std::unique_ptr<Blob>> box);
  void stat(const Target& target, const base::Digest& digest, Box<BlobStat> box);
  // Only what is here or arriving from upstream, whatever the repository.
  void peek(const base::Digest& digest, Box<std::unique_ptr<Blob>> box);
  void set_options(const MirrorOptions& options) { options_ = options; }
  // Lets go of every fill; their files stay. Those that are being published are waited for, but not for long.
  void stop(base::UniqueFunction<void()> stopped);

 private:
  struct Proof;
  struct Opening;
  using Proven = base::UniqueFunction<void(const upstream::Outcome<upstream::BlobHead>&)>;

  [[nodiscard]] bool crowded() const { return openings_.size() + proving_ >= options_.max_waiting; }
  void open_proven(const FillSource& source, const base::Digest& digest, Box<std::unique_ptr<Blob>> box);
  void fill(const FillSource& source, const base::Digest& digest, bool proven, Box<std::unique_ptr<Blob>> box);
  [[nodiscard]] Fill* running(const base::Digest& digest);
  void prove(const FillSource& source, const base::Digest& digest, Proven then);
  void proved(const std::string& key, const upstream::Outcome<upstream::BlobHead>& outcome);
  void proof_is_late(const std::string& key, std::uint64_t waiter);
  Fill* start_fill(const FillSource& source, const base::Digest& digest, std::optional<std::uint64_t> size,
                   bool proven);
  void fill_finished(const Fill* fill);
  void let_go();
  void await(Fill& fill, const FillSource& source, Provenance::Kind kind, Box<std::unique_ptr<Blob>> box);
  void await(Fill& fill, const FillSource& source, bool gated, Provenance::Kind kind, Box<std::unique_ptr<Blob>> box);
  void waited(std::uint64_t id);
  void answer_opening(std::uint64_t id);
  [[nodiscard]] bool known_absent(const FillSource& source, const base::Digest& digest) const;

  DeskParts parts_;
  MirrorOptions options_;
  bool stopping_ = false;
  std::unordered_map<base::Digest, std::unique_ptr<Fill>> fills_;
  std::list<std::unique_ptr<Fill>> retired_;  // still running for their readers; nobody can join any more
  std::map<std::string, std::unique_ptr<Proof>> proofs_;
  std::size_t proving_ = 0;  // requests that wait for a proof
  std::unordered_map<std::uint64_t, std::unique_ptr<Opening>> openings_;
  std::uint64_t next_id_ = 1;
  base::UniqueFunction<void()> stopped_;
  base::Timer patience_;  // with fills that are published while this stops
  base::Lifetime life_;
};

}  // namespace shoal::mirror
