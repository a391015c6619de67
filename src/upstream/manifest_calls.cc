#include <utility>

#include "calls.h"
#include "exchange.h"
#include "judge.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "text.h"

namespace shoal::upstream {
namespace {

Ask manifest_ask(std::string method, std::string_view repository, std::string_view reference) {
  Ask ask;
  ask.method = std::move(method);
  ask.path = api_path(repository, "manifests", reference);
  ask.headers.emplace_back("Accept", registry::manifest_accept());
  ask.repository = repository;
  return ask;
}

std::optional<base::Digest> parse_digest(std::string_view text) {
  auto digest = base::Digest::parse(text);
  return digest.ok() ? std::optional(*digest) : std::nullopt;
}

// By tag the canonical name is the sha256 one, whatever upstream calls it.
base::Digest canonical(const base::Digest& digest, std::string_view bytes) {
  return digest.algorithm() == base::HashAlgorithm::sha256 ? digest : base::digest_of(bytes);
}

class ManifestHeadCall final : public Call::Impl, private Answer {
 public:
  ManifestHeadCall(CallContext c, std::string_view repository, std::string_view reference,
                   Registry::Done<ManifestHead> done)
      : done_(std::move(done)),
        exchange_(std::move(c.state), c.loop, c.client, manifest_ask("HEAD", repository, reference), *this) {
    exchange_.start();
  }

 private:
  std::optional<Failure> on_accept(const fetch::ResponseHead& head, const std::string&,
                                   const std::string& about) override {
    if (head.status != 200) {
      return make_failure(Failure::Kind::bad_answer, head.status, base::format("{}: answered {}", about, head.status));
    }
    result_.digest = parse_digest(head.header("docker-content-digest"));
    result_.media_type = bare_type(head.header("content-type"));
    // Zero is what servers send that do not know.
    result_.size = head.content_length();
    if (result_.size == std::optional<std::uint64_t>(0)) result_.size.reset();
    return std::nullopt;
  }
  Taken on_data(std::string_view) override { return {}; }
  std::optional<Failure> on_whole() override { return std::nullopt; }
  bool committed() const override { return false; }
  bool expects_refusal() const override { return true; }
  void on_done(std::optional<Failure> failure) override {
    auto done = std::move(done_);
    if (!failure) return done(std::move(result_));
    if (get_may_do_better(*failure)) {
      result_ = {};
      result_.head_refused = true;
      return done(std::move(result_));
    }
    done(std::move(*failure));
  }

  Registry::Done<ManifestHead> done_;
  ManifestHead result_;
  Exchange exchange_;
};

class ManifestGetCall final : public Call::Impl, private Answer {
 public:
  ManifestGetCall(CallContext c, std::string_view repository, std::string_view reference, Registry::Done<Manifest> done)
      : wanted_(parse_digest(reference)),
        done_(std::move(done)),
        exchange_(std::move(c.state), c.loop, c.client, manifest_ask("GET", repository, reference), *this) {
    exchange_.start();
  }

 private:
  [[nodiscard]] Failure bad(std::string text) const {
    return make_failure(Failure::Kind::bad_answer, 200, base::format("{}: {}", about_, text));
  }
  [[nodiscard]] std::size_t limit() const { return exchange_.options().max_manifest_bytes; }

  std::optional<Failure> on_accept(const fetch::ResponseHead& head, const std::string&,
                                   const std::string& about) override {
    about_ = about;
    if (head.status != 200) return bad(base::format("answered {} to a manifest request", head.status));
    if (is_encoded(head)) return bad("a manifest with Content-Encoding");
    const auto length = head.content_length();
    if (length && *length > limit()) return bad(base::format("a manifest of {} bytes (limit {})", *length, limit()));
    content_type_ = head.header("content-type");
    claimed_ = parse_digest(head.header("docker-content-digest"));
    warnings_.clear();
    for (const auto& [name, value] : head.headers) {
      if (same_ignoring_case(name, "warning")) warnings_.push_back(value);
    }
    body_.clear();
    // Hashed as it arrives, in small pieces: this is an event loop.
    hasher_.emplace(wanted_ ? wanted_->algorithm() : claimed_ ? claimed_->algorithm() : base::HashAlgorithm::sha256);
    return std::nullopt;
  }
  Taken on_data(std::string_view bytes) override {
    if (bytes.size() > limit() - body_.size()) {
      return {.flow = fetch::Flow::go_on, .failure = bad(base::format("a manifest beyond {} bytes", limit()))};
    }
    body_.append(bytes);
    hasher_->update(bytes);
    return {};
  }
  std::optional<Failure> on_whole() override {
    const base::Digest digest = hasher_->finish();
    if (wanted_ && digest != *wanted_) return bad(base::format("a manifest whose digest is {}", digest.to_string()));
    if (!wanted_ && claimed_ && digest != *claimed_) {
      return bad(base::format("Docker-Content-Digest {} for a manifest that is {}", claimed_->to_string(),
                              digest.to_string()));
    }
    digest_ = digest;
    if (body_.size() > kReadOnLoop) {
      // Another URL may do better than an error page.
      const auto first = body_.find_first_not_of(" \t\r\n");
      if (first == std::string::npos || body_[first] != '{') return bad("not a manifest: no JSON object");
      unread_ = Manifest::Unread{about_, content_type_, !wanted_};
      return std::nullopt;
    }
    auto view = registry::parse_manifest(body_);
    if (!view.ok()) return bad("not a manifest: " + view.error().message());
    if (!wanted_) digest_ = canonical(digest, body_);
    media_type_ = registry::manifest_media_type(content_type_, *view);
    return std::nullopt;
  }
  bool committed() const override { return false; }  // all of it is ours until done
  void on_done(std::optional<Failure> failure) override {
    auto done = std::move(done_);
    if (failure) return done(std::move(*failure));
    done(Manifest{.digest = *digest_,
                  .media_type = std::move(media_type_),
                  .bytes = std::make_shared<const std::string>(std::move(body_)),
                  .warnings = std::move(warnings_),
                  .unread = std::move(unread_)});
  }

  std::optional<base::Digest> wanted_, claimed_, digest_;
  Registry::Done<Manifest> done_;
  std::string about_, content_type_, media_type_, body_;
  std::vector<std::string> warnings_;
  std::optional<Manifest::Unread> unread_;
  std::optional<base::Hasher> hasher_;
  Exchange exchange_;
};

}  // namespace

Outcome<Manifest> read_large(Manifest manifest) {
  if (!manifest.unread) return manifest;
  const auto unread = *std::exchange(manifest.unread, std::nullopt);
  const auto view = registry::parse_manifest(*manifest.bytes);
  if (!view.ok()) {
    return make_failure(Failure::Kind::bad_answer, 200,
                        base::format("{}: not a manifest: {}", unread.about, view.error().message()));
  }
  if (unread.by_tag) manifest.digest = canonical(manifest.digest, *manifest.bytes);
  manifest.media_type = registry::manifest_media_type(unread.content_type, *view);
  return manifest;
}

Call start_manifest_head(CallContext context, std::string_view repository, std::string_view reference,
                         Registry::Done<ManifestHead> done) {
  return Call(std::make_unique<ManifestHeadCall>(std::move(context), repository, reference, std::move(done)));
}

Call start_manifest_get(CallContext context, std::string_view repository, std::string_view reference,
                        Registry::Done<Manifest> done) {
  return Call(std::make_unique<ManifestGetCall>(std::move(context), repository, reference, std::move(done)));
}

}  // namespace shoal::upstream
