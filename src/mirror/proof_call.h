// ProofCall: is the blob in that repository? One attempt: HEAD; where HEAD is refused, a GET that is dropped at its
// head. One loop; dropping it cancels.
#pragma once

#include "desk.h"

namespace shoal::mirror {

class ProofCall final : private upstream::BlobSink {
 public:
  using Done = upstream::Registry::Done<upstream::BlobHead>;
  ProofCall(const FillSource& source, const base::Digest& digest) : source_(source), digest_(digest) {}

  // Again only after `done` ran. Dropping the Call, or this, cancels.
  [[nodiscard]] upstream::Call start(Done done);

 private:
  void answer(upstream::Outcome<upstream::BlobHead> outcome);
  void on_start(std::uint64_t offset, std::optional<std::uint64_t> total) override;
  fetch::Flow on_data(std::string_view bytes) override;
  void on_end(std::optional<upstream::Failure> failure) override;

  FillSource source_;
  base::Digest digest_;
  Done done_;
  upstream::Call get_;
};

}  // namespace shoal::mirror
