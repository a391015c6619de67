// Each piece leaves its author once: who gets a blob from upstream is asked for whatever has just come by all who
// follow it, who has all of it for anything, and its uplink is what everybody waits for. So a follower does not let
// libtorrent hear all that its author says it has: only the pieces of its own stripe, some at a time. The others it
// gets from those whose stripe they are of; if nobody brings them, it does hear of them. To be heard, a piece is named
// again, on request:
//
//   extended message (BEP 10) "shoal_name": indices of pieces, 4 bytes each, big endian; the answer is a HAVE for each
//   of them that the peer has.
//
// Pure, but for the FreshPieces, which any thread may ask: the loop says what holds, connections act on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "meeting_choice.h"
#include "shoal/base/clock.h"
#include "stripe_pace.h"

namespace shoal::p2p {

// What holds towards an author: of a share.
struct FreshRule {
  Stripe stripe;
  std::uint32_t reader = 0;  // the first piece that is missing here
};

class FreshPieces {
 public:
  static constexpr std::size_t kMostAuthors = 16;
  // `author`: its node id, of whom we are to get that stripe only.
  void follow(const std::string& author, Stripe stripe);
  void forget(const std::string& author);
  void forget_all();
  void set_reader(std::uint32_t reader);
  [[nodiscard]] std::optional<FreshRule> rule(const std::string& node) const;  // nothing: all it says is heard

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Stripe> authors_;  // at most kMostAuthors
  std::uint32_t reader_ = 0;
};

// What the author at the other end of one connection has, and which of it is heard.
class HeldBack {
 public:
  // Pieces of the own stripe that are on their way: few at first, for others come in the next moment, and then the
  // stripe is narrower; one more for each that came.
  static constexpr std::uint32_t kHeardFirst = 4, kHeard = 64;
  static constexpr std::uint32_t kWindow = 128;
  static constexpr std::chrono::milliseconds kDeputy{1'500};  // then one other node asks for what nobody has,
  static constexpr std::chrono::milliseconds kAll{3'500};     // and then everybody
  // Of what the author had before we met, nobody is to have anything yet. There it is a whole stripe that falls behind:
  // its pieces are asked for by one other node each, and so much later, if they did not come, by everybody.
  static constexpr std::chrono::milliseconds kBehind{2'000};
  // Whose own stripe is here helps others with what they have left of theirs: so many pieces at once, where it is so
  // much.
  static constexpr std::uint32_t kHelp = 2, kWorthHelp = 4;
  // Who says that he has a piece may not bring it. What the reader needs next is asked for if nothing came for so long,
  // or the same piece is missing after that long, or longer than a window of pieces takes here; four times as much the
  // next time.
  static constexpr std::chrono::milliseconds kNothingCame{500}, kStillMissing{2'500};
  static constexpr std::uint32_t kNext = 8;                          // pieces
  static constexpr std::chrono::milliseconds kMostPatience{10'000};  // on slow links
  static constexpr std::size_t kMostAtOnce = 2'048;                  // pieces named a second, and announced in answer
  using Is = std::function<bool(std::uint32_t)>;

  explicit HeldBack(std::uint32_t pieces) : pieces_(pieces) {}
  // It has `piece`, from now on. True: that is not heard.
  [[nodiscard]] bool said(std::uint32_t piece, const FreshRule& rule, base::SteadyTime now);
  // It has these, all of them together. Never heard; ask for what is wanted().
  void said_to_have(std::uint32_t piece, base::SteadyTime now);
  void arrived(std::uint32_t piece, base::SteadyTime now);
  // Pieces to be named now. `good`: is here. `elsewhere`: another peer says that it has it. help: after each arrival;
  // orphans: once a second.
  [[nodiscard]] std::vector<std::uint32_t> wanted(const FreshRule& rule, const Is& good, base::SteadyTime now);
  [[nodiscard]] std::vector<std::uint32_t> help(const Is& good, const Is& elsewhere);
  [[nodiscard]] std::vector<std::uint32_t> orphans(const FreshRule& rule, const Is& good, const Is& elsewhere,
                                                   base::SteadyTime now);

 private:
  enum class State : std::uint8_t { unsaid, held, asked, heard };
  struct Piece {
    State state = State::unsaid;
    bool coming = false;
    bool fresh = false;  // came to the author while we followed it
    base::SteadyTime since{};
  };
  void expect(Piece& piece);
  void hold(Piece& piece, bool fresh, base::SteadyTime now);
  [[nodiscard]] bool own_is_here(const Is& good);
  void ask_for_stripes_behind(const Is& good, base::SteadyTime now, std::vector<std::uint32_t>& list);
  std::vector<Piece> pieces_;
  StripePace pace_;
  std::vector<std::optional<base::SteadyTime>> behind_;  // each stripe, since when
  Stripe stripe_;                                        // the cursor is about
  std::uint32_t next_ = 0;                               // of the own stripe, looked at next
  std::uint64_t own_missing_ = 0;                        // of the own stripe, the first that is not here, about
  std::uint32_t helped_ = 0;                             // pieces looked at for others, from the last one on
  std::uint32_t coming_ = 0, arrived_ = 0;               // pieces asked for
  base::SteadyTime first_word_{}, last_arrival_{}, missing_since_{};
  std::uint32_t arrivals_ = 0;
  std::uint32_t missing_ = UINT32_MAX;  // first, when last looked
  unsigned stuck_ = 0;                  // how often in a row, about
};

}  // namespace shoal::p2p
