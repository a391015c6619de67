#include "node_pull.h"

#include <algorithm>

#include "shoal/base/digest.h"
#include "shoal/base/format.h"
#include "shoal/registry/wire.h"

namespace shoal::cli {
namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using fetch::Client;

constexpr std::size_t kMaxManifest = 16 << 20;
constexpr std::size_t kMaxManifests = 1'000;  // of one image: more is no image
constexpr std::size_t kBlobsAtOnce = 3;       // as dockerd and containerd have it
constexpr std::size_t kMaxErrorBody = 64 << 10;
// A node that has to ask upstream first is silent for longer than a warm one.
constexpr std::chrono::milliseconds kFirstByte{60'000};
constexpr std::chrono::milliseconds kStall{120'000};

Error refused(int status, std::string_view body) {
  auto words = registry::first_error(body);
  if (words.empty()) words = format("it answered {}", status);
  return {ErrorKind::gone, words};
}

}  // namespace

class NodePull::Blob final : private fetch::Sink {
 public:
  Blob(NodePull& owner, registry::Descriptor what)
      : owner_(owner), what_(std::move(what)), hasher_(what_.digest.algorithm()) {
    transfer_ = owner.client_.start(owner.request("/blobs/" + what_.digest.to_string()), *this);
  }

 private:
  void on_head(const fetch::ResponseHead& head) override {
    status_ = head.status;
    if (status_ == 200 && head.header("cache-status").find("not kept") != std::string_view::npos) {
      ++owner_.not_kept_;
    }
  }
  fetch::Flow on_data(std::string_view bytes) override {
    if (status_ != 200) {
      words_.append(bytes.substr(0, kMaxErrorBody - std::min(words_.size(), kMaxErrorBody)));
      return fetch::Flow::go_on;
    }
    hasher_.update(bytes);
    size_ += bytes.size();
    owner_.state_.received.fetch_add(bytes.size(), std::memory_order_relaxed);
    return fetch::Flow::go_on;
  }
  void on_end(base::Result<void> result) override { owner_.blob_ended(*this, verdict(result)); }
  [[nodiscard]] base::Result<void> verdict(const base::Result<void>& result) {
    const auto name = what_.digest.to_string();
    if (!result.ok()) return result.error().at("blob", name);
    if (status_ != 200) return refused(status_, words_).at("blob", name);
    if (hasher_.finish() == what_.digest) return {};
    return Error(ErrorKind::corrupt, format("{}: the {} bytes that came do not match it", name, size_));
  }

  NodePull& owner_;
  registry::Descriptor what_;
  base::Hasher hasher_;
  int status_ = 0;
  std::uint64_t size_ = 0;
  std::string words_;  // of a refusal
  fetch::Transfer transfer_;
};

NodePull::NodePull(base::Loop& loop, Client& client, const PullOrder& order, PullState& state,
                   base::UniqueFunction<void()> ended)
    : loop_(loop), client_(client), order_(order), state_(state), ended_(std::move(ended)) {}
NodePull::~NodePull() = default;

void NodePull::start() {
  began_ = loop_.now();
  manifests_.push_back(order_.reference);
  next_manifest();
}

fetch::Request NodePull::request(const std::string& path) const {
  fetch::Request request;
  request.url = state_.url + "/v2/" + order_.repository + path;
  if (!order_.authorization.empty()) request.headers.emplace_back("Authorization", order_.authorization);
  request.first_byte_timeout = kFirstByte;
  request.stall_timeout = kStall;
  request.max_redirects = 0;
  request.tls = order_.tls;
  return request;
}

void NodePull::next_manifest() {
  if (manifests_.empty()) return next_blobs();
  auto reference = std::move(manifests_.front());
  manifests_.pop_front();
  auto asked = request("/manifests/" + reference);
  asked.headers.emplace_back("Accept", registry::manifest_accept());
  manifest_call_ = client_.fetch_all(
      std::move(asked), kMaxManifest,
      [this, reference](base::Result<Client::Reply> reply) { manifest_came(reference, std::move(reply)); });
}

void NodePull::manifest_came(const std::string& reference, base::Result<Client::Reply> reply) {
  auto taken = reply.ok() ? take_manifest(reference, *reply) : reply.error();
  if (!taken.ok()) return finish(taken.error().at("manifest", reference).message());
  next_manifest();
}

base::Result<void> NodePull::take_manifest(const std::string& reference, const Client::Reply& reply) {
  if (reply.head.status != 200) return refused(reply.head.status, reply.body);
  const auto named = base::Digest::parse(reference);
  const auto told = base::Digest::parse(reply.head.header("docker-content-digest"));
  const auto wanted = named.ok() ? named : told;
  const auto got = base::digest_of(reply.body, wanted.ok() ? wanted->algorithm() : base::HashAlgorithm::sha256);
  if (wanted.ok() && got != *wanted) {
    return Error(ErrorKind::corrupt,
                 format("it is said to be {}, but what came is {}", wanted->to_string(), got.to_string()));
  }
  if (state_.digest.empty()) state_.digest = got.to_string();
  const auto view = registry::parse_manifest(reply.body);
  if (!view.ok()) return view.error();
  if (view->media_type == registry::kDockerSchema1 || view->media_type == registry::kDockerSchema1Signed) {
    return Error(ErrorKind::invalid, "a manifest of schema 1 does not say what its layers are in a way to check");
  }
  const auto children = registry::choose_children(*view, order_.platform);
  if (!children.ok()) return children.error();
  for (const auto& child : *children) {
    if (child.foreign || !seen_.insert(child.digest.to_string()).second) continue;
    if (!child.is_manifest) {
      blobs_.push_back(child);
      state_.expected.fetch_add(child.size, std::memory_order_relaxed);
    } else if (seen_.size() < kMaxManifests) {
      manifests_.push_back(child.digest.to_string());
    } else {
      return Error(ErrorKind::full, format("it leads to more than {} manifests", kMaxManifests));
    }
  }
  return {};
}

void NodePull::next_blobs() {
  while (running_.size() < kBlobsAtOnce && !blobs_.empty()) {
    auto what = std::move(blobs_.front());
    blobs_.pop_front();
    running_.push_back(std::make_unique<Blob>(*this, std::move(what)));
  }
  if (!running_.empty()) return;
  finish(not_kept_ == 0 ? ""
                        : format("all of it came, but {} of {} blobs were not kept: see the node's log and storage",
                                 not_kept_, state_.blobs));
}

void NodePull::blob_ended(Blob& blob, base::Result<void> result) {
  std::erase_if(running_, [&blob](const auto& one) { return one.get() == &blob; });
  if (!result.ok()) return finish(result.error().message());
  ++state_.blobs;
  next_blobs();
}

void NodePull::finish(std::string error) {
  manifest_call_.cancel();
  running_.clear();
  blobs_.clear();
  state_.error = std::move(error);
  state_.took = std::chrono::duration_cast<std::chrono::milliseconds>(loop_.now() - began_);
  state_.over.store(true, std::memory_order_release);
  ended_();
}

}  // namespace shoal::cli
