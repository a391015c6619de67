#include "shoal/registry/manifest.h"

#include <algorithm>
#include <array>

#include "json.h"
#include "text.h"

namespace shoal::registry {
namespace {

using nlohmann::json;

// What may stand in a Content-Type header: a body must not be able to write header lines of ours.
std::string_view clean_media_type(std::string_view type) {
  const bool plain =
      type.size() <= 255 && std::all_of(type.begin(), type.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return plain ? type : std::string_view();
}

bool is_index_type(std::string_view type) { return type == kOciIndex || type == kDockerList; }
bool is_image_type(std::string_view type) { return type == kOciManifest || type == kDockerManifest; }

// BuildKit stores its cache as an index of layers, so an index's child is not always a manifest.
bool is_content_type(std::string_view type) {
  constexpr std::array<std::string_view, 5> kMarks = {".image.layer.", ".image.rootfs.", ".image.config.",
                                                      ".container.image.v1+json", ".cacheconfig."};
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view mark) { return type.find(mark) != std::string_view::npos; });
}

std::string platform_of(const json& descriptor) {
  const json* platform = object_member(descriptor, "platform");
  if (platform == nullptr) return {};
  const auto os = string_member(*platform, "os");
  const auto architecture = string_member(*platform, "architecture");
  const auto variant = string_member(*platform, "variant");
  std::string out;
  for (const auto part : {os, architecture, variant}) {
    if (part.size() > 64 || std::any_of(part.begin(), part.end(), is_control)) return {};
    if (part.empty()) continue;
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

std::optional<Descriptor> read_descriptor(const json& value) {
  const auto digest = base::Digest::parse(string_member(value, "digest"));
  const auto size = size_member(value, "size");
  if (!digest || !size) return std::nullopt;
  const json* urls = array_member(value, "urls");
  return Descriptor{.digest = *digest,
                    .size = *size,
                    .media_type = std::string(clean_media_type(string_member(value, "mediaType"))),
                    .platform = platform_of(value),
                    .is_manifest = false,
                    .foreign = urls != nullptr && !urls->empty()};
}

void add_all(const json& list, bool manifests, std::vector<Descriptor>& out) {
  out.reserve(out.size() + list.size());
  for (const json& entry : list) {
    if (auto descriptor = read_descriptor(entry)) {
      descriptor->is_manifest = manifests && !is_content_type(descriptor->media_type);
      out.push_back(std::move(*descriptor));
    }
  }
}

base::Error corrupt(const char* why) { return {base::ErrorKind::corrupt, why}; }

}  // namespace

const std::string& manifest_accept() {
  static const std::string accept = [] {
    std::string out;
    for (const auto type :
         {kOciIndex, kOciManifest, kDockerList, kDockerManifest, kDockerSchema1Signed, kDockerSchema1}) {
      out += type;
      out += ", ";
    }
    return out + "*/*";
  }();
  return accept;
}

base::Result<ManifestView> parse_manifest(std::string_view bytes) {
  const auto document = parse_json(bytes);
  if (!document) return corrupt("manifest is not JSON, or nested too deep");
  if (!document->is_object()) return corrupt("manifest is not a JSON object");

  const json* manifests = array_member(*document, "manifests");
  const json* config = object_member(*document, "config");
  const json* layers = array_member(*document, "layers");
  const json* blobs = array_member(*document, "blobs");  // of the withdrawn OCI artifact manifest
  const auto schema = size_member(*document, "schemaVersion");

  ManifestView view;
  view.media_type = clean_media_type(string_member(*document, "mediaType"));
  view.declares_type = !view.media_type.empty();
  view.artifact_type = clean_media_type(string_member(*document, "artifactType"));
  if (const json* subject = object_member(*document, "subject")) {
    view.subject = read_descriptor(*subject);
    if (view.subject) view.subject->is_manifest = true;
  }

  if (schema == 1 && manifests == nullptr && layers == nullptr) {  // Docker schema 1: served, not looked into
    if (view.media_type.empty()) {
      view.media_type = array_member(*document, "signatures") != nullptr ? kDockerSchema1Signed : kDockerSchema1;
    }
    return view;
  }
  const bool index_shaped = manifests != nullptr;
  const bool image_shaped = config != nullptr || layers != nullptr;
  // One that reads both ways means different things to different clients (CVE-2021-41190); all of them refuse it.
  if (index_shaped && image_shaped && !(manifests->empty() && is_image_type(view.media_type))) {
    return corrupt("manifest is an image and an index at once");
  }
  if ((is_index_type(view.media_type) && image_shaped) || (is_image_type(view.media_type) && index_shaped)) {
    if (!(index_shaped && manifests->empty())) return corrupt("manifest does not have the shape of its mediaType");
  }
  if (!index_shaped && !image_shaped && !schema && view.media_type.empty()) {
    return corrupt("JSON document is not a manifest");
  }

  if (config != nullptr) {
    if (auto descriptor = read_descriptor(*config)) view.children.push_back(std::move(*descriptor));
  }
  if (layers != nullptr) add_all(*layers, /*manifests=*/false, view.children);
  if (index_shaped && !image_shaped) add_all(*manifests, /*manifests=*/true, view.children);
  if (!index_shaped && !image_shaped && blobs != nullptr) add_all(*blobs, /*manifests=*/false, view.children);

  if (view.media_type.empty() && image_shaped) view.media_type = kOciManifest;
  if (view.media_type.empty() && index_shaped) view.media_type = kOciIndex;
  return view;
}

std::string manifest_media_type(std::string_view upstream_content_type, const ManifestView& view) {
  const auto type = clean_media_type(trim(upstream_content_type.substr(0, upstream_content_type.find(';'))));
  constexpr std::array<std::string_view, 5> kGeneric = {"application/json", "application/octet-stream",
                                                        "binary/octet-stream", "text/plain", "text/html"};
  const bool generic =
      type.find('/') == std::string_view::npos ||
      std::any_of(kGeneric.begin(), kGeneric.end(), [&](std::string_view g) { return equals_ignoring_case(type, g); });
  if (!generic) return std::string(type);
  if (!view.media_type.empty()) return view.media_type;
  const bool index = std::any_of(view.children.begin(), view.children.end(),
                                 [](const Descriptor& child) { return child.is_manifest; });
  return std::string(index ? kOciIndex : kOciManifest);
}

}  // namespace shoal::registry
