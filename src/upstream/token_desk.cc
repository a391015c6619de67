// SharedState's token requests: on the home loop, with its client, one per key (TokenCache sees to that).
#include "judge.h"
#include "shared_state.h"
#include "shoal/base/format.h"
#include "shoal/fetch/url.h"

namespace shoal::upstream {
namespace {

constexpr std::size_t kMaxTokenBody = 256 * 1024;  // JWTs of large organisations reach tens of KiB

// What the token endpoint said. `withheld`: see TokenWant.
Outcome<registry::TokenReply> judge_token(const TokenWant& want, const fetch::Client::Reply& reply,
                                          std::string_view name, base::WallTime now) {
  const int status = reply.head.status;
  const std::string about = base::format("{}: token endpoint {}", name, fetch::printable_url(want.url));
  if (status >= 200 && status < 300) {
    auto token = registry::parse_token_reply(reply.body);
    if (token.ok()) return std::move(*token);
    return make_failure(Failure::Kind::bad_answer, status, base::format("{}: {}", about, token.error().message()));
  }
  if (status == 401 || status == 403 || status == 404) {
    const std::string said = registry::first_error(reply.body);
    std::string message = base::format("{}: token endpoint refused {} ({})", name,
                                       want.authorization.empty() ? "an anonymous token" : "the credentials", status);
    if (!want.withheld.empty()) message += ": " + want.withheld;
    if (!said.empty()) message += ": " + said;
    return make_failure(Failure::Kind::denied, status, std::move(message));
  }
  Failure failure = judge_status(reply.head, reply.body, about, now);
  if (failure.kind == Failure::Kind::not_found || failure.kind == Failure::Kind::denied) {
    failure.kind = Failure::Kind::unavailable;
  }
  return failure;
}

}  // namespace

void SharedState::set_home(base::Loop& home, fetch::Client& client) {
  const std::lock_guard lock(mutex_);
  home_ = &home;
  home_client_ = &client;
}

void SharedState::close_home() {
  {
    const std::lock_guard lock(mutex_);
    home_client_ = nullptr;
  }
  for (auto running = std::exchange(token_requests_running_, {}); auto& [key, transfer] : running) {
    transfer.cancel();
    tokens_.finish(key, make_failure(Failure::Kind::unavailable, 0, "stopping"), clock_.steady_now());
  }
}

void SharedState::drop(std::shared_ptr<SharedState> state) {
  base::Loop* home = nullptr;
  {
    const std::lock_guard lock(state->mutex_);
    home = state->home_;
  }
  if (home == nullptr) return;  // never used
  home->post([state = std::move(state)] { state->close_home(); });
}

void drop_state(std::shared_ptr<UpstreamState> state) {
  SharedState::drop(std::static_pointer_cast<SharedState>(std::move(state)));
}

void SharedState::request_token(TokenWant want) {
  base::Loop* home = nullptr;
  {
    const std::lock_guard lock(mutex_);
    home = home_;
  }
  auto self = std::static_pointer_cast<SharedState>(shared_from_this());
  home->post([self, want = std::move(want)]() mutable { self->ask_for_token(std::move(want)); });
}

void SharedState::ask_for_token(TokenWant want) {
  fetch::Client* client = nullptr;
  std::shared_ptr<const UpstreamOptions> options;
  {
    const std::lock_guard lock(mutex_);
    client = home_client_;
    options = options_;
  }
  if (client == nullptr) {
    tokens_.finish(want.key, make_failure(Failure::Kind::unavailable, 0, "stopping"), clock_.steady_now());
    return;
  }
  note_token_request();
  fetch::Request request;
  request.url = want.url;
  if (!want.authorization.empty()) request.headers.emplace_back("Authorization", want.authorization);
  request.connect_timeout = options->connect_timeout;
  request.first_byte_timeout = options->first_byte_timeout;
  request.stall_timeout = options->stall_timeout;
  request.tls = options->tls;
  request.proxy = options->proxy;
  request.no_proxy = options->no_proxy;
  const std::string key = want.key;
  // The transfer is ours and the state lives as long as it runs: close_home() ends it otherwise.
  token_requests_running_[key] =
      client->fetch_all(std::move(request), kMaxTokenBody, [this, want = std::move(want)](auto reply) {
        const TokenWant mine = want;  // erasing the transfer ends this function's captures
        token_reply(mine, std::move(reply));
      });
}

void SharedState::token_reply(const TokenWant& want, base::Result<fetch::Client::Reply> reply) {
  const auto name = options()->name;
  token_requests_running_.erase(want.key);
  Outcome<registry::TokenReply> outcome = make_failure(Failure::Kind::unavailable, 0, {});
  if (reply.ok()) {
    outcome = judge_token(want, *reply, name, clock_.wall_now());
  } else {
    const std::string about = base::format("{}: token endpoint {}", name, fetch::printable_url(want.url));
    outcome = from_transport(reply.error(), about);
  }
  tokens_.finish(want.key, std::move(outcome), clock_.steady_now());
}

}  // namespace shoal::upstream
