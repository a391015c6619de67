#include "generate.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "shoal/base/digest.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"

namespace shoal::bench {
namespace {

using base::format;

constexpr std::size_t kChunk = 16 << 20;  // of a push; every registry takes that in one PATCH
constexpr const char* kLayerType = "application/vnd.oci.image.layer.v1.tar";
constexpr const char* kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr std::size_t kMaxAnswer = 64 << 10;

// Gives the layer's bytes in pieces, while `piece` says true.
template <class F>
void each_piece(std::uint64_t size, std::uint64_t seed, F piece) {
  Noise noise(seed);
  std::vector<char> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, size)));
  for (std::uint64_t at = 0; at < size;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at));
    noise.fill({buffer.data(), count});
    if (!piece(at, std::string_view(buffer.data(), count))) return;
    at += count;
  }
}

class Upload {
 public:
  explicit Upload(Session& session) : session_(session) {}

  base::Result<void> begin() {
    Ask ask = make("POST", format("{}/v2/{}/blobs/uploads/", session_.route()->url, session_.target().repository));
    return take(session_.expect(std::move(ask), {202}));
  }
  base::Result<void> append(std::uint64_t at, std::string_view bytes) {
    auto ask = make("PATCH", location_);
    if (ask.route == nullptr) return lost();
    ask.headers =
        format("Content-Type: application/octet-stream\r\nContent-Range: {}-{}\r\n", at, at + bytes.size() - 1);
    ask.body = bytes;
    return take(session_.expect(std::move(ask), {202}));
  }
  base::Result<void> end(const std::string& digest) {
    auto ask = make("PUT", location_);
    if (ask.route == nullptr) return lost();
    ask.path += (ask.path.find('?') == std::string::npos ? "?digest=" : "&digest=") + digest;
    const auto answer = session_.expect(std::move(ask), {201});
    if (!answer.ok()) return answer.error();
    return {};
  }

 private:
  Ask make(const char* method, const std::string& url) {
    Ask ask;
    ask.method = method;
    ask.redirects = 0;
    ask.keep_body = kMaxAnswer;
    if (url.starts_with(session_.route()->url)) {
      ask.route = session_.route();
      ask.path = url.substr(session_.route()->url.size());
    }
    return ask;
  }
  base::Result<void> take(const base::Result<Answer>& answer) {
    if (!answer.ok()) return answer.error();
    const auto next = fetch::resolve_url(session_.route()->url + "/", answer->head.location);
    // The same server under the name it was asked by: origins are compared without the default port.
    const auto origin = next ? fetch::origin_of(*next) : std::nullopt;
    if (!origin || *origin != session_.route()->origin) return lost();
    location_ = session_.route()->url + next->substr(next->find('/', next->find("://") + 3));
    return {};
  }
  base::Error lost() const {
    return {base::ErrorKind::gone,
            format("{} wants uploads at another server, which this does not do", session_.route()->url)};
  }

  Session& session_;
  std::string location_;
};

base::Result<void> push_layer(Session& session, const ImageBlob& layer, std::uint64_t seed) {
  Upload upload(session);
  auto result = upload.begin();
  if (!result.ok()) return result;
  each_piece(layer.size, seed, [&](std::uint64_t at, std::string_view bytes) {
    result = upload.append(at, bytes);
    return result.ok();
  });
  return result.ok() ? upload.end(layer.digest) : result;
}

base::Result<void> push_bytes(Session& session, const std::string& digest, std::string_view bytes) {
  Upload upload(session);
  auto result = upload.begin();
  if (result.ok()) result = upload.append(0, bytes);
  return result.ok() ? upload.end(digest) : result;
}

}  // namespace

Noise::Noise(std::uint64_t seed) {
  for (auto& word : state_) {  // splitmix64
    seed += 0x9e3779b97f4a7c15ULL;
    auto z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    word = z ^ (z >> 31);
  }
}

std::uint64_t Noise::next() {
  const auto result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  const auto t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void Noise::fill(std::span<char> bytes) {
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    const auto word = next();
    std::memcpy(bytes.data() + at, &word, 8);
  }
  if (at == bytes.size()) return;
  const auto word = next();
  std::memcpy(bytes.data() + at, &word, bytes.size() - at);
}

GeneratedImage generate(const std::vector<std::uint64_t>& sizes, std::uint64_t seed) {
  GeneratedImage made;
  nlohmann::json diff_ids = nlohmann::json::array(), layers = nlohmann::json::array();
  std::vector<ImageBlob> blobs;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    made.seeds.push_back(seed * 1'000'003 + i);
    base::Hasher hasher(base::HashAlgorithm::sha256);
    each_piece(sizes[i], made.seeds.back(), [&hasher](std::uint64_t, std::string_view bytes) {
      hasher.update(bytes);
      return true;
    });
    blobs.push_back({hasher.finish().to_string(), kLayerType, sizes[i], false});
    diff_ids.push_back(blobs.back().digest);
    layers.push_back({{"mediaType", kLayerType}, {"digest", blobs.back().digest}, {"size", sizes[i]}});
  }
  made.config = nlohmann::json{{"architecture", "amd64"},
                               {"os", "linux"},
                               {"config", nlohmann::json::object()},
                               {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}}
                    .dump();
  const auto config_digest = base::digest_of(made.config).to_string();
  made.manifest = nlohmann::json{
      {"schemaVersion", 2},
      {"mediaType", std::string(registry::kOciManifest)},
      {"config", {{"mediaType", kConfigType}, {"digest", config_digest}, {"size", made.config.size()}}},
      {"layers",
       layers}}.dump();
  made.image.manifests.push_back(
      {base::digest_of(made.manifest).to_string(), std::string(registry::kOciManifest), made.manifest.size()});
  made.image.blobs.push_back({config_digest, kConfigType, made.config.size(), true});
  made.image.blobs.insert(made.image.blobs.end(), blobs.begin(), blobs.end());
  return made;
}

base::Result<void> push(Session& session, const GeneratedImage& generated, const std::string& tag) {
  session.may_push();
  const auto& blobs = generated.image.blobs;
  if (auto pushed = push_bytes(session, blobs[0].digest, generated.config); !pushed.ok()) return pushed;
  for (std::size_t i = 1; i < blobs.size(); ++i) {
    if (auto pushed = push_layer(session, blobs[i], generated.seeds[i - 1]); !pushed.ok()) return pushed;
  }
  Ask ask;
  ask.method = "PUT";
  ask.path = format("/v2/{}/manifests/{}", session.target().repository, tag);
  ask.headers = format("Content-Type: {}\r\n", registry::kOciManifest);
  ask.body = generated.manifest;
  ask.keep_body = kMaxAnswer;
  const auto answer = session.expect(std::move(ask), {201});
  if (!answer.ok()) return answer.error();
  return {};
}

}  // namespace shoal::bench
