#include "author_words.h"

#include <algorithm>

#include "big_endian.h"

namespace shoal::p2p {
namespace {

constexpr int kMostNamed = 1'024;  // in one message
constexpr char kHave = 4;          // BEP 3
constexpr char kExtended = 20;     // BEP 10

}  // namespace

HeldBack::Is AuthorWords::good() const {
  return [this](std::uint32_t piece) { return blob_->good(piece); };
}

// Nothing: the peer is no author of ours, or cannot name pieces again.
std::optional<FreshRule> AuthorWords::rule() const {
  if (node_.empty() || blob_ == nullptr || their_message_ == 0) return std::nullopt;
  return blob_->fresh().rule(node_);
}

// Of a connection that something was held back on: if no rule holds any more, all of it is to be heard.
FreshRule AuthorWords::held_rule() const { return rule().value_or(FreshRule{{0, 1}, 0}); }

HeldBack& AuthorWords::held() {
  if (!held_) held_.emplace(pieces());
  return *held_;
}

bool AuthorWords::has(std::uint32_t piece, base::SteadyTime now) {
  const auto known = rule();
  if (!known || piece >= pieces() || blob_->good(piece)) return false;
  return held().said(piece, *known, now);
}

bool AuthorWords::has_all(base::SteadyTime now) {
  return blob_ != nullptr && has_those(
                                 pieces(), [](std::uint32_t) { return true; }, now);
}

bool AuthorWords::has_those(std::uint32_t count, const HeldBack::Is& those, base::SteadyTime now) {
  const auto known = rule();
  if (!known || count != pieces()) return false;
  for (std::uint32_t piece = 0; piece < count; ++piece) {
    if (those(piece)) held().said_to_have(piece, now);
  }
  name(held().wanted(*known, good(), now));
  return true;
}

bool AuthorWords::well_formed(int length) { return length <= 4 * kMostNamed && length % 4 == 0; }

bool AuthorWords::asks(std::string_view body) {
  named_ += body.size() / 4;
  // A stripe each time its width changes, and orphans.
  if (blob_ == nullptr || named_ > 4ULL * pieces() + kMostNamed) return false;
  for (std::size_t at = 0; at < body.size(); at += 4) say_have(get32(body.substr(at, 4)));
  return true;
}

void AuthorWords::arrived(std::uint32_t piece, const HeldBack::Is& elsewhere, base::SteadyTime now) {
  if (!held_) return;
  held_->arrived(piece, now);
  name(held_->wanted(held_rule(), good(), now));
  name(held_->help(good(), elsewhere));
}

void AuthorWords::look_for_orphans(const HeldBack::Is& elsewhere, base::SteadyTime now) {
  if (!held_) return;
  name(held_->wanted(held_rule(), good(), now));
  name(held_->orphans(held_rule(), good(), elsewhere, now));
}

void AuthorWords::name(const std::vector<std::uint32_t>& wanted) {
  for (std::size_t at = 0; at < wanted.size(); at += kMostNamed) {
    const auto end = std::min(wanted.size(), at + kMostNamed);
    std::string message;
    put32(message, static_cast<std::uint32_t>(2 + 4 * (end - at)));
    message.push_back(kExtended);
    message.push_back(static_cast<char>(their_message_));
    for (auto i = at; i < end; ++i) put32(message, wanted[i]);
    send_(message);
  }
}

void AuthorWords::say_have(std::uint32_t piece) {
  if (piece >= pieces() || !blob_->good(piece)) return;
  std::string message;
  put32(message, 5);
  message.push_back(kHave);
  put32(message, piece);
  send_(message);
}

}  // namespace shoal::p2p
