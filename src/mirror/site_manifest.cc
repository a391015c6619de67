#include "site_manifest.h"

#include <algorithm>

namespace shoal::mirror {
namespace {

constexpr std::chrono::milliseconds kAgain{30};        // the fetcher has not got it yet
constexpr std::chrono::milliseconds kPatience{2'000};  // then upstream is asked, whoever else does

}  // namespace

SiteManifest::SiteManifest(p2p::Neighbours& site, base::Loop& loop, const base::Digest& digest, std::string repository,
                           Need need, base::UniqueFunction<void(std::optional<p2p::PeerManifest>)> done)
    : site_(site),
      loop_(loop),
      digest_(digest),
      repository_(std::move(repository)),
      need_(need),
      done_(std::move(done)),
      began_(loop.now()),
      ticket_(site.ticket(digest, std::nullopt, nullptr)) {}

void SiteManifest::ask() {
  if (loop_.now() - began_ >= kPatience) return finish(std::nullopt);
  ticket_->ask(avoid_, [this](p2p::Ticket::Answer answer) { advised(answer); });
}

void SiteManifest::advised(const p2p::Ticket::Answer& answer) {
  if (std::holds_alternative<p2p::Fetch>(answer.advice)) return finish(std::nullopt);
  const auto* follow = std::get_if<p2p::Follow>(&answer.advice);
  if (follow == nullptr) return again();
  const auto usable = [this](const p2p::NodeInfo& node) {
    return std::find(avoid_.begin(), avoid_.end(), node.id) == avoid_.end();
  };
  const auto complete = std::find_if(follow->complete.begin(), follow->complete.end(), usable);
  if (complete != follow->complete.end()) {
    peer_ = *complete;
  } else if (follow->fetcher && usable(*follow->fetcher)) {
    peer_ = *follow->fetcher;
  } else {
    return again();
  }
  call_ = site_.get_manifest(peer_, digest_, repository_,
                             [this](base::Result<p2p::PeerManifest> manifest) { got(std::move(manifest)); });
}

void SiteManifest::got(base::Result<p2p::PeerManifest> manifest) {
  call_.reset();
  if (manifest.ok() && (need_ == Need::bytes || manifest->proven)) return finish(std::move(*manifest));
  const bool not_yet = !manifest.ok() && manifest.error().kind() == base::ErrorKind::not_found;
  if (!not_yet) avoid_.push_back(peer_.id);
  again();
}

void SiteManifest::again() {
  timer_ = loop_.schedule(kAgain, [this] { ask(); });
}

void SiteManifest::finish(std::optional<p2p::PeerManifest> manifest) {
  auto done = std::exchange(done_, nullptr);
  done(std::move(manifest));  // may drop this
}

void SiteManifest::stored() {
  if (!ticket_) return;
  ticket_->complete();
  ticket_.reset();
}

}  // namespace shoal::mirror
