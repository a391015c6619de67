// Followers: who follows an author's map of one blob, and the place of each: its rank, so its stripe, whether it gets
// pieces straight from the author, and whom it is told of. A resource of the SwarmedBlob whose map it is, on the home
// loop; it decides and does nothing itself. An error (busy): more than may follow.
//
// A newcomer takes the lowest rank that nobody has: a stripe without an owner comes late. A node that begins anew keeps
// its rank; its old call ends soon. When one leaves that got pieces straight from the author, another takes over its
// rank and gets them: one of the same stripe, if there is one. So of those that get them no two have the same stripe.
//
// Another number of stripes is another stripe for everybody, so one that leaves does not change it, but for this: when
// half of the stripes have no owner, or more, ranks are given anew from 0 on. Whoever is left alone has all of it, and
// the end of a herd of 16 is four changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "map_frames.h"
#include "meeting_choice.h"

namespace shoal::p2p {

class Followers {
 public:
  static constexpr std::size_t kMost = 20'000;
  static constexpr std::size_t kMostOfOneNode = 4;       // it may have begun anew, and the old call not be over
  static constexpr std::size_t kMostOfOneAddress = 100;  // nodes may share one

  explicit Followers(std::size_t most = kMost) : most_(most) {}
  Followers(const Followers&) = delete;
  Followers& operator=(const Followers&) = delete;

  struct Joined {
    std::uint64_t id = 0;  // of this call, not of the node
    MapPlace place;        // but for `spreads`
  };
  [[nodiscard]] base::Result<Joined> join(const PeerAddress& peer);
  // Who gets pieces straight from the author now, in its place: to be called.
  [[nodiscard]] std::optional<PeerAddress> leave(std::uint64_t id);
  void clear();
  [[nodiscard]] std::uint32_t stripes() const { return stripes_; }
  [[nodiscard]] TakerRanks moved() const;  // ranks of those that got another one since they joined
  [[nodiscard]] std::size_t size() const { return takings_.size(); }
  [[nodiscard]] bool empty() const { return takings_.empty(); }

 private:
  struct Taking {
    std::uint64_t id;
    PeerAddress peer;
    std::uint32_t rank;
    bool direct;
    bool moved = false;
  };
  [[nodiscard]] std::vector<std::uint32_t> ranks() const;
  [[nodiscard]] std::optional<PeerAddress> replace(std::uint32_t rank);
  [[nodiscard]] std::size_t owned_stripes() const;
  void give_ranks_anew();
  static void give(Taking& taking, std::uint32_t rank);
  const std::size_t most_;
  std::vector<Taking> takings_;  // in the order they came
  std::uint64_t next_id_ = 1;
  std::uint32_t stripes_ = 0;
};

}  // namespace shoal::p2p
