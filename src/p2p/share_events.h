// ShareEvents: what network and disk threads have to say about a share, on its way to the loop: one post for as many as
// there are. Kept (shared_ptr) by the SharedBlob; the receiver is the loop's, and gone with the share.
#pragma once

#include <mutex>
#include <variant>
#include <vector>

#include "shared_blob.h"
#include "shoal/base/loop.h"

namespace shoal::p2p {

class ShareEvents final : public BlobEvents, public std::enable_shared_from_this<ShareEvents> {
 public:
  explicit ShareEvents(base::Loop& loop) : loop_(loop) {}
  void receive(BlobEvents* receiver) { receiver_ = receiver; }  // on the loop; null: nobody any more

  void piece_good(std::uint32_t piece) override { push(Good{piece}); }
  void piece_bad(std::uint32_t piece, Judgement judgement) override { push(Bad{piece, std::move(judgement)}); }
  void map_missing(std::uint32_t piece) override { push(Missing{piece}); }
  void piece_restored(std::uint32_t piece) override { push(Restored{piece}); }
  void trouble(base::Error error) override { push(std::move(error)); }

 private:
  struct Good {
    std::uint32_t piece;
  };
  struct Bad {
    std::uint32_t piece;
    Judgement judgement;
  };
  struct Missing {
    std::uint32_t piece;
  };
  struct Restored {
    std::uint32_t piece;
  };
  using Event = std::variant<Good, Bad, Missing, Restored, base::Error>;
  void push(Event event);
  void deliver();
  void hand(Event& event);

  base::Loop& loop_;
  BlobEvents* receiver_ = nullptr;
  std::mutex mutex_;
  std::vector<Event> events_;
  bool posted_ = false;
};

}  // namespace shoal::p2p
