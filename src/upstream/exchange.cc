#include "exchange.h"

#include "judge.h"
#include "shoal/base/format.h"

namespace shoal::upstream {
namespace {

constexpr std::size_t kMaxErrorBody = 16 * 1024;
constexpr unsigned kMaxRounds = 4;  // requests to one URL: none, challenged, renewed, and one to spare

bool url_is_to_blame(Failure::Kind kind) {
  return kind == Failure::Kind::unavailable || kind == Failure::Kind::timeout || kind == Failure::Kind::bad_answer;
}

// A 4xx of no other meaning (400, 414, 416): it is about the question, which a client may have chosen. Another URL may
// see it otherwise, but this one is not ill for it.
bool question_is_to_blame(const Failure& failure) {
  return failure.kind == Failure::Kind::bad_answer && failure.status >= 400 && failure.status < 500;
}

}  // namespace

Exchange::Exchange(std::shared_ptr<SharedState> state, base::Loop& loop, fetch::Client& client, Ask ask, Answer& answer)
    : state_(std::move(state)),
      loop_(loop),
      client_(client),
      ask_(std::move(ask)),
      answer_(answer),
      options_(state_->options()) {}

void Exchange::start() {
  urls_ = state_->url_order(*options_, ask_.source);
  if (urls_.empty()) {
    later_ = loop_.schedule(std::chrono::milliseconds(0), [this] {
      finish(make_failure(Failure::Kind::unavailable, 0, options_->name + ": no URL is configured"));
    });
    return;
  }
  try_url();
}

void Exchange::try_url() {
  url_ = urls_[url_at_];
  base_ = url_;
  while (base_.ends_with('/')) base_.pop_back();
  about_ = subject(options_->name, base_);
  rounds_ = 0;
  renewed_ = false;
  asked_for_challenge_ = false;
  challenged_ = false;
  authorise();
}

void Exchange::authorise() {
  const Credentials& credentials = options_->credentials;
  const auto challenge = state_->challenge(url_);
  used_ = challenge;
  if (!credentials.bearer.empty()) {
    sent_ = Sent::fixed;
    authorization_ = "Bearer " + credentials.bearer;
    return send();
  }
  if (!challenge) {
    sent_ = Sent::nothing;
    authorization_.clear();
    return send();
  }
  if (challenge->scheme == AuthChallenge::Scheme::bearer) return authorise_bearer(*challenge);
  if (credentials.username.empty()) {
    // It may answer some repositories without; when it does not, 401 tells.
    sent_ = Sent::nothing;
    authorization_.clear();
    return send();
  }
  sent_ = Sent::basic;
  authorization_ = basic_authorization(credentials);
  send();
}

void Exchange::authorise_bearer(const AuthChallenge& challenge) {
  sent_ = Sent::token;
  want_ = make_token_want(challenge, base_, ask_.repository, *options_);
  auto lookup = state_->tokens().find(want_.key, state_->clock().steady_now());
  if (lookup.request) state_->request_token(want_);
  if (lookup.token) {
    token_was_cached_ = true;
    authorization_ = "Bearer " + *lookup.token;
    return send();
  }
  token_was_cached_ = false;
  auto entered = state_->tokens().wait(want_.key, loop_, [this](Outcome<std::string> outcome) {
    if (auto* failure = std::get_if<Failure>(&outcome)) return no_token(std::move(*failure));
    authorization_ = "Bearer " + std::get<std::string>(outcome);
    send();
  });
  token_wait_ = std::move(entered.wait);
  if (entered.request) state_->request_token(want_);
}

// The registry may name another token server by now, or want no tokens any more: it was not asked.
void Exchange::no_token(Failure failure) {
  if (challenged_ || !used_) return url_failed(std::move(failure));
  challenged_ = true;
  state_->forget_challenge(url_, *used_);
  used_.reset();
  sent_ = Sent::nothing;
  authorization_.clear();
  send();
}

void Exchange::learn(const AuthChallenge& challenge) {
  challenged_ = true;
  state_->learn_challenge(url_, challenge);
}

fetch::Request Exchange::make_request(std::string method, const std::string& path) const {
  fetch::Request request;
  request.method = std::move(method);
  request.url = base_ + path;
  request.connect_timeout = options_->connect_timeout;
  request.first_byte_timeout = options_->first_byte_timeout;
  request.stall_timeout = options_->stall_timeout;
  request.tls = options_->tls;
  request.proxy = options_->proxy;
  request.no_proxy = options_->no_proxy;
  return request;
}

void Exchange::send() {
  ++rounds_;
  has_head_ = false;
  streaming_ = false;
  error_body_.clear();
  fetch::Request request = make_request(ask_.method, ask_.path);
  request.headers = ask_.headers;
  if (!authorization_.empty()) request.headers.emplace_back("Authorization", authorization_);
  if (ask_.slow_is_stall) request.min_bytes_per_second = options_->min_bytes_per_second;
  state_->note_request();
  transfer_ = client_.start(std::move(request), *this);
}

void Exchange::on_head(const fetch::ResponseHead& head) {
  state_->note_head(head);
  head_ = head;
  has_head_ = true;
  if (head.status < 200 || head.status > 299) return;  // collects the body, then decide()
  const auto alive = life_.watch();
  auto failure = answer_.on_accept(head, url_, about_);
  if (failure) {
    transfer_.cancel();
    return url_failed(std::move(*failure));
  }
  if (alive.gone()) return;
  streaming_ = true;
  state_->url_answered(url_);
}

fetch::Flow Exchange::on_data(std::string_view bytes) {
  if (streaming_) {
    auto taken = answer_.on_data(bytes);
    if (!taken.failure) return taken.flow;
    transfer_.cancel();
    url_failed(std::move(*taken.failure));
    return fetch::Flow::go_on;
  }
  error_body_.append(bytes.substr(0, kMaxErrorBody - error_body_.size()));
  if (error_body_.size() >= kMaxErrorBody) {
    transfer_.cancel();
    decide();
  }
  return fetch::Flow::go_on;
}

void Exchange::on_end(base::Result<void> result) {
  if (streaming_) {
    if (!result.ok()) return url_failed(from_transport(result.error(), about_));
    if (auto failure = answer_.on_whole()) return url_failed(std::move(*failure));
    state_->url_succeeded(url_);
    return finish(std::nullopt);
  }
  if (has_head_) return decide();
  state_->note_no_answer();
  url_failed(from_transport(result.ok() ? base::Error(base::ErrorKind::gone, "no answer") : result.error(), about_));
}

void Exchange::decide() {
  if (head_.status == 401 && head_.redirects == 0) return unauthorized();
  if (head_.status == 403 && head_.redirects == 0 && !answer_.expects_refusal()) {
    if (says_token_expired(head_, error_body_) || read_challenges(head_).insufficient_scope) return unauthorized();
  }
  Failure failure = judge_status(head_, error_body_, about_, state_->clock().wall_now());
  if (answer_.expects_refusal() && head_refused(head_.status, head_.redirects)) {
    state_->url_succeeded(url_);
    return finish(std::move(failure));
  }
  url_failed(std::move(failure));
}

void Exchange::unauthorized() {
  if (rounds_ >= kMaxRounds) return denied("refuses us again and again");
  const Challenged challenged = read_challenges(head_);
  switch (sent_) {
    case Sent::fixed: return denied("refused the configured token");
    case Sent::nothing: {
      if (!challenged.challenge) {
        if (!asked_for_challenge_ && !used_) return ask_for_challenge();
        return denied("wants credentials and does not say which");
      }
      if (challenged.challenge->scheme == AuthChallenge::Scheme::basic && options_->credentials.username.empty()) {
        return denied("wants a user name and password, and none are configured");
      }
      if (challenged.challenge == used_) return denied("refused us");
      learn(*challenged.challenge);
      return authorise();
    }
    case Sent::basic:
      if (!renewed_ && (head_.status == 403 || (challenged.challenge && challenged.challenge != used_))) {
        return renew(challenged);
      }
      return denied("refused the credentials");
    case Sent::token: {
      const bool other_challenge = challenged.challenge && challenged.challenge != used_;
      if (!renewed_ && (token_was_cached_ || challenged.insufficient_scope || other_challenge || head_.status == 403)) {
        return renew(challenged);
      }
      return denied(want_.withheld.empty() ? std::string("refused the token it gave us") : want_.withheld);
    }
  }
}

void Exchange::renew(const Challenged& challenged) {
  renewed_ = true;
  if (sent_ == Sent::token) {
    state_->tokens().drop(want_.key, authorization_.substr(std::string_view("Bearer ").size()));
  }
  if (challenged.challenge) learn(*challenged.challenge);
  authorise();
}

// gcr.io and others answer a real request with a bare 401 and challenge only at /v2/.
void Exchange::ask_for_challenge() {
  asked_for_challenge_ = true;
  state_->note_request();
  transfer_ = client_.fetch_all(make_request("GET", "/v2/"), 64 * 1024, [this](base::Result<fetch::Client::Reply> r) {
    if (!r.ok()) return url_failed(from_transport(r.error(), about_));
    const Challenged challenged = read_challenges(r->head);
    if (r->head.status != 401 || !challenged.challenge) return denied("wants credentials and does not say which");
    head_ = std::move(r->head);
    unauthorized();
  });
}

void Exchange::denied(std::string why) {
  const std::string said = registry::first_error(error_body_);
  std::string message = base::format("{}: {} ({})", about_, why, head_.status);
  if (!said.empty()) message += ": " + said;
  url_failed(make_failure(Failure::Kind::denied, head_.status, std::move(message)));
}

void Exchange::url_failed(Failure failure) {
  if (url_is_to_blame(failure.kind)) {
    if (!question_is_to_blame(failure)) state_->url_failed(url_, failure.message);
    if (!answer_.committed() && url_at_ + 1 < urls_.size()) {
      ++url_at_;
      return try_url();
    }
  } else {
    state_->url_succeeded(url_);  // it is well: it told us no
  }
  finish(std::move(failure));
}

void Exchange::finish(std::optional<Failure> failure) {
  if (failure) state_->note_failure(*failure);
  answer_.on_done(std::move(failure));
  // `this` may be gone
}

}  // namespace shoal::upstream
