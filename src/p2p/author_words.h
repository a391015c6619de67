// AuthorWords: of one connection: what the peer says that it has, what of that libtorrent hears, and what either side
// asks the other to say again (fresh_pieces.h has the rules). PeerProof hands it the messages. Network thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fresh_pieces.h"
#include "shared_blob.h"

namespace shoal::p2p {

class AuthorWords {
 public:
  using Send = std::function<void(const std::string& message)>;  // to the peer: a whole message
  // `blob`: null: it was dropped before the torrent was added, and all is heard.
  AuthorWords(std::shared_ptr<SharedBlob> blob, Send send) : blob_(std::move(blob)), send_(std::move(send)) {}

  static constexpr int kMessage = 60;  // ours for "shoal_name"; libtorrent's own end at 8
  void can_name(int message) { their_message_ = message; }
  void is(const std::string& node) { node_ = node; }  // it has proven that

  // True: libtorrent does not hear it.
  [[nodiscard]] bool has(std::uint32_t piece, base::SteadyTime now);
  [[nodiscard]] bool has_all(base::SteadyTime now);
  [[nodiscard]] bool has_those(std::uint32_t count, const HeldBack::Is& those, base::SteadyTime now);
  // It asks which of these pieces we have. `length`: of the body of its message. False: more often than it may.
  [[nodiscard]] static bool well_formed(int length);
  [[nodiscard]] bool asks(std::string_view body);

  // `elsewhere`: another peer has it.
  void arrived(std::uint32_t piece, const HeldBack::Is& elsewhere, base::SteadyTime now);
  // Once a second.
  void look_for_orphans(const HeldBack::Is& elsewhere, base::SteadyTime now);

 private:
  [[nodiscard]] std::uint32_t pieces() const { return blob_->naming().pieces(); }
  [[nodiscard]] HeldBack::Is good() const;
  [[nodiscard]] std::optional<FreshRule> rule() const;
  [[nodiscard]] FreshRule held_rule() const;
  HeldBack& held();
  void name(const std::vector<std::uint32_t>& wanted);
  void say_have(std::uint32_t piece);

  const std::shared_ptr<SharedBlob> blob_;  // shared with the disk interface
  const Send send_;
  std::string node_;  // "": a stranger
  int their_message_ = 0;
  std::uint64_t named_ = 0;       // pieces that it asked us to name again
  std::optional<HeldBack> held_;  // of an author
};

}  // namespace shoal::p2p
