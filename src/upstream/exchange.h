// Exchange: one question to the registry: authorise, ask, and on failure ask the next URL, until an answer is accepted
// or nothing is left. One loop; owned by the call that asks; dropping it cancels.
//
//   per URL: known challenge -> token or Basic -> request -> 2xx: Answer takes it
//                                                -> 401: learn the challenge, once more with what it asks for
//                                                -> 401 with a cached token, or insufficient scope: renew once
//                                                -> other: judge_status
//   a challenge from before that leads to no token may be out of date: forgotten, and asked without
// A failure of a URL (unavailable, timeout, bad_answer) leads to the next one while nothing has reached the caller.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared_state.h"
#include "shoal/base/loop.h"
#include "shoal/upstream/auth.h"

namespace shoal::upstream {

struct Ask {
  std::string method = "GET";
  std::string path;  // "/v2/...", with query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string repository;  // for the token's scope
  unsigned source = 0;
  bool slow_is_stall = false;  // hold the answer to min_bytes_per_second
};

// What a call makes of the answer.
class Answer {
 public:
  virtual ~Answer() = default;
  // A 2xx head, `about` the registry's name and URL for messages. A Failure refuses it. May drop the Exchange when it
  // returns none.
  virtual std::optional<Failure> on_accept(const fetch::ResponseHead& head, const std::string& url,
                                           const std::string& about) = 0;
  struct Taken {
    fetch::Flow flow = fetch::Flow::go_on;
    std::optional<Failure> failure;
  };
  // May drop the Exchange when it returns no failure.
  virtual Taken on_data(std::string_view bytes) = 0;
  virtual std::optional<Failure> on_whole() = 0;          // the body is complete: is it right?
  virtual bool committed() const = 0;                     // bytes reached the caller: no other URL can take over
  virtual bool expects_refusal() const { return false; }  // HEAD: see head_refused()
  // Last, once. Usually drops the Exchange.
  virtual void on_done(std::optional<Failure> failure) = 0;
};

class Exchange final : private fetch::Sink {
 public:
  Exchange(std::shared_ptr<SharedState> state, base::Loop& loop, fetch::Client& client, Ask ask, Answer& answer);
  ~Exchange() override = default;
  void start();  // on_done is not called inside
  void resume() {
    if (transfer_.running()) transfer_.resume();
  }
  [[nodiscard]] const UpstreamOptions& options() const { return *options_; }

 private:
  enum class Sent { nothing, basic, token, fixed };

  void try_url();
  void authorise();
  void authorise_bearer(const AuthChallenge& challenge);
  void no_token(Failure failure);
  void learn(const AuthChallenge& challenge);
  void send();
  void ask_for_challenge();
  void decide();        // on a head that is not 2xx, and the beginning of its body
  void unauthorized();  // 401, or 403 that means the same
  void renew(const Challenged& challenged);
  void denied(std::string why);
  void url_failed(Failure failure);
  void finish(std::optional<Failure> failure);
  [[nodiscard]] fetch::Request make_request(std::string method, const std::string& path) const;

  void on_head(const fetch::ResponseHead& head) override;
  fetch::Flow on_data(std::string_view bytes) override;
  void on_end(base::Result<void> result) override;

  std::shared_ptr<SharedState> state_;  // shared with the other loops
  base::Loop& loop_;
  fetch::Client& client_;
  Ask ask_;
  Answer& answer_;
  std::shared_ptr<const UpstreamOptions> options_;  // of the start; a reload does not touch us
  std::vector<std::string> urls_;
  std::size_t url_at_ = 0;
  std::string url_, base_, about_;  // as configured (the key for health), without trailing slash, for messages

  Sent sent_ = Sent::nothing;
  std::string authorization_;
  TokenWant want_;
  std::optional<AuthChallenge> used_;
  bool token_was_cached_ = false;
  bool asked_for_challenge_ = false;
  bool renewed_ = false;
  bool challenged_ = false;  // by this URL, in this exchange; else the challenge is one that was remembered
  unsigned rounds_ = 0;

  std::unique_ptr<TokenCache::Wait> token_wait_;
  fetch::Transfer transfer_;
  fetch::ResponseHead head_;
  bool has_head_ = false, streaming_ = false;
  std::string error_body_;
  base::Timer later_;
  base::Lifetime life_;
};

}  // namespace shoal::upstream
