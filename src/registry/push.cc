#include "shoal/registry/push.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "json.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "text.h"

namespace shoal::registry {
namespace {

using nlohmann::json;

bool is_index(std::string_view type) { return type == kOciIndex || type == kDockerList; }
bool is_image(std::string_view type) { return type == kOciManifest || type == kDockerManifest; }
bool is_schema1(std::string_view type) { return type == kDockerSchema1 || type == kDockerSchema1Signed; }

// A client that sends files does not always know what they are.
bool says_nothing(std::string_view type) {
  return type.empty() || equals_ignoring_case(type, "application/json") ||
         equals_ignoring_case(type, "application/octet-stream");
}

bool usable_type(std::string_view type) {
  return type.size() <= 255 && type.find('/') != std::string_view::npos &&
         std::all_of(type.begin(), type.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// Layers that by their type are not in any registry; those with urls are marked already.
bool lives_elsewhere(const Descriptor& child) {
  return child.foreign || child.media_type.find(".nondistributable.") != std::string::npos ||
         child.media_type.find(".foreign.") != std::string::npos;
}

base::Error invalid(std::string message) { return {base::ErrorKind::invalid, std::move(message)}; }

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

base::Result<PushedManifest> read_push(std::string_view content_type, std::string_view bytes, IndexChildren children) {
  const auto type = trim(content_type.substr(0, content_type.find(';')));
  if (!says_nothing(type) && !usable_type(type)) return invalid("the Content-Type is not a media type");
  const auto view = parse_manifest(bytes);
  if (!view) return invalid(view.error().message());
  if (is_schema1(type) || is_schema1(view->media_type)) {
    return invalid("Docker image manifests of schema 1 are obsolete and not taken; push schema 2 or OCI");
  }
  const bool unlike = (is_index(type) && is_image(view->media_type)) || (is_image(type) && is_index(view->media_type));
  if (!says_nothing(type) && (view->declares_type ? view->media_type != type : unlike)) {
    return invalid(
        base::format("the manifest is of type {}, but was sent with Content-Type {}", view->media_type, type));
  }
  PushedManifest out;
  out.media_type = says_nothing(type) ? view->media_type : std::string(type);
  if (out.media_type.empty()) {
    return invalid("neither the Content-Type nor a mediaType in the body says what the manifest is");
  }
  std::set<base::Digest> seen;
  for (const auto& child : view->children) {
    if (lives_elsewhere(child) || (child.is_manifest && children == IndexChildren::optional)) continue;
    if (seen.insert(child.digest).second) out.needed.push_back(child.digest);
  }
  if (view->subject) out.subject = view->subject->digest;
  return out;
}

std::string referrer_descriptor(std::string_view bytes, const base::Digest& digest, std::string_view media_type) {
  json descriptor = {{"mediaType", media_type}, {"digest", digest.to_string()}, {"size", bytes.size()}};
  if (const auto document = parse_json(bytes); document && document->is_object()) {
    auto artifact_type = string_member(*document, "artifactType");
    if (const json* config = object_member(*document, "config"); artifact_type.empty() && config != nullptr) {
      artifact_type = string_member(*config, "mediaType");
    }
    if (!artifact_type.empty()) descriptor["artifactType"] = artifact_type;
    if (const json* annotations = object_member(*document, "annotations")) descriptor["annotations"] = *annotations;
  }
  return dump_json(descriptor);
}

std::string descriptor_artifact_type(std::string_view descriptor) {
  const auto document = parse_json(descriptor);
  return document ? std::string(string_member(*document, "artifactType")) : std::string();
}

std::string referrers_body(const std::vector<std::string>& descriptors) {
  std::string out = base::format(R"({{"schemaVersion":2,"mediaType":"{}","manifests":[)", kOciIndex);
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    if (i > 0) out += ',';
    out += descriptors[i];
  }
  return out + "]}";
}

std::optional<ChunkRange> parse_chunk_range(std::string_view text) {
  text = trim(text);
  if (text.size() > 6 && equals_ignoring_case(text.substr(0, 6), "bytes ")) text = trim(text.substr(6));
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    const auto total = text.substr(slash + 1);
    if (total != "*" && !number(total)) return std::nullopt;
    text = text.substr(0, slash);
  }
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1));
  if (!first || !last || *first > *last || *last == UINT64_MAX) return std::nullopt;
  return ChunkRange{*first, *last};
}

}  // namespace shoal::registry
