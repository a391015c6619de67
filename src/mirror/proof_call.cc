#include "proof_call.h"

namespace shoal::mirror {
namespace {

bool refuses_head(const upstream::Outcome<upstream::BlobHead>& outcome) {
  const auto* failure = std::get_if<upstream::Failure>(&outcome);
  if (failure == nullptr) return false;
  const int status = failure->status;
  return status == 400 || status == 403 || status == 405 || status == 501;
}

}  // namespace

upstream::Call ProofCall::start(Done done) {
  done_ = std::move(done);
  get_.cancel();
  return source_.upstream->head_blob(
      source_.repository, digest_, [this](upstream::Outcome<upstream::BlobHead> outcome) {
        if (!refuses_head(outcome)) return answer(std::move(outcome));
        get_ = source_.upstream->get_blob(source_.repository, digest_, 0, std::nullopt, 0, *this);
      });
}

void ProofCall::answer(upstream::Outcome<upstream::BlobHead> outcome) {
  get_.cancel();
  if (!done_) return;
  auto done = std::exchange(done_, nullptr);
  done(std::move(outcome));  // may drop this
}

void ProofCall::on_start(std::uint64_t, std::optional<std::uint64_t> total) { answer(upstream::BlobHead{total}); }
fetch::Flow ProofCall::on_data(std::string_view) { return fetch::Flow::pause; }
void ProofCall::on_end(std::optional<upstream::Failure> failure) {
  if (failure) answer(std::move(*failure));
}

}  // namespace shoal::mirror
