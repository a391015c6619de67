// Fill::Proof: the question whether the current source's repository has the blob.
#pragma once

#include "fill.h"
#include "proof_call.h"
#include "retrier.h"

namespace shoal::mirror {

struct Fill::Proof {
  Proof(Fill& fill, upstream::Registry::Done<upstream::BlobHead> done)
      : call(fill.source(), fill.digest_),
        retrier(
            fill.parts_.loop, *fill.source().upstream, fill.options_.retry,
            [this](upstream::Registry::Done<upstream::BlobHead> answer) { return call.start(std::move(answer)); },
            std::move(done)) {}
  ProofCall call;
  Retrier<upstream::BlobHead> retrier;
};

}  // namespace shoal::mirror
