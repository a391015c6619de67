// Request paths of the distribution API, and the percent-decoding in front of them.
#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/registry/name.h"
#include "text.h"

namespace shoal::registry {
namespace {

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  c = to_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// nullopt when an escape is broken or anything decodes to a control byte.
std::optional<std::string> percent_decode(std::string_view raw, std::string_view forbidden_escapes) {
  std::string out;
  out.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      if (i + 2 >= raw.size()) return std::nullopt;
      const int high = hex_value(raw[i + 1]);
      const int low = hex_value(raw[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      if (forbidden_escapes.find(c) != std::string_view::npos) return std::nullopt;
      i += 2;
    }
    if (is_control(c)) return std::nullopt;
    out.push_back(c);
  }
  return out;
}

BadPath unknown_endpoint() {
  return {404, "NAME_UNKNOWN",
          "no such endpoint; known are /v2/<name>/manifests/<reference>, /v2/<name>/blobs/<digest>, "
          "/v2/<name>/tags/list, /v2/<name>/referrers/<digest> and /v2/<name>/blobs/uploads/"};
}

// What the client sent, fit for a message: it may be long or unprintable.
std::string excerpt(std::string_view text) {
  std::string out(text.substr(0, 100));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return is_control(c) || static_cast<unsigned char>(c) > 0x7e; }, '?');
  if (text.size() > 100) out += "...";
  return out;
}

std::optional<BadPath> bad_repository(std::string_view name) {
  if (valid_repository(name)) return std::nullopt;
  if (name.size() > kMaxRepositoryBytes) {
    return BadPath{400, "NAME_INVALID",
                   base::format("repository name \"{}\" is {} bytes long; at most {} are allowed", excerpt(name),
                                name.size(), kMaxRepositoryBytes)};
  }
  return BadPath{400, "NAME_INVALID",
                 base::format("\"{}\" is not a repository name: components of a-z and 0-9, joined by . _ __ or -, "
                              "separated by /",
                              excerpt(name))};
}

BadPath bad_digest(std::string_view digest) {
  return {400, "DIGEST_INVALID",
          base::format("\"{}\" is not a digest: sha256: and 64, or sha512: and 128 lower-case hex digits follow",
                       excerpt(digest))};
}

ApiPath manifest_path(std::string_view name, std::string_view reference) {
  if (auto bad = bad_repository(name)) return *bad;
  if (reference.find(':') != std::string_view::npos) {  // a tag cannot hold one
    auto digest = base::Digest::parse(reference);
    if (!digest) return bad_digest(reference);
    return ManifestPath{std::string(name), *digest};
  }
  // 404, not 400: the conformance suite asks for it.
  if (!valid_tag(reference)) {
    return BadPath{404, "MANIFEST_UNKNOWN", base::format("\"{}\" is neither a tag nor a digest", excerpt(reference))};
  }
  return ManifestPath{std::string(name), Tag(reference)};
}

template <class Path>
ApiPath digest_path(std::string_view name, std::string_view text) {
  if (auto bad = bad_repository(name)) return *bad;
  auto digest = base::Digest::parse(text);
  if (!digest) return bad_digest(text);
  return Path{std::string(name), *digest};
}

ApiPath upload_path(std::string_view name, std::string_view session) {
  if (auto bad = bad_repository(name)) return *bad;
  const bool plain = session.size() <= 128 && std::all_of(session.begin(), session.end(), [](char c) {
                       return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.' || c == '=';
                     });
  if (!plain) return BadPath{404, "BLOB_UPLOAD_UNKNOWN", "no such upload"};
  return UploadPath{std::string(name), std::string(session)};
}

struct Split {
  std::string_view head;
  std::string_view last;
};
Split split_last(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {{}, path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

ApiPath parse_api_path(std::string_view path) {
  if (path.empty() || path == "/") return Ping{};
  if (path[0] != '/') return unknown_endpoint();
  path.remove_prefix(1);
  if (path == "_catalog" || path == "_catalog/") return Catalog{};

  // References hold no slash, so the keyword is the last segment but one; what is before it is the name.
  const auto [rest, last] = split_last(path);
  const auto [name, keyword] = split_last(rest);
  if (keyword == "manifests") return manifest_path(name, last);
  if (keyword == "referrers") return digest_path<ReferrersPath>(name, last);
  if (keyword == "tags" && last == "list") {
    if (auto bad = bad_repository(name)) return *bad;
    return TagsPath{std::string(name)};
  }
  if (keyword == "blobs") return last == "uploads" ? upload_path(name, {}) : digest_path<BlobPath>(name, last);
  if (keyword == "uploads") {
    const auto [repository, blobs] = split_last(name);
    if (blobs == "blobs") return upload_path(repository, last);
  }
  return unknown_endpoint();
}

std::optional<std::string> decode_path(std::string_view raw) {
  if (raw.find('\\') != std::string_view::npos) return std::nullopt;
  auto path = percent_decode(raw, "/\\%");
  if (!path) return std::nullopt;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= path->size(); ++i) {
    if (i < path->size() && (*path)[i] != '/') continue;
    const std::string_view segment(path->data() + start, i - start);
    const bool edge = start == 0 || i == path->size();  // in front of the first slash, behind the last
    if (segment == "." || segment == ".." || (segment.empty() && !edge)) return std::nullopt;
    start = i + 1;
  }
  return path;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    const std::size_t equals = pair.find('=');
    const auto key = percent_decode(pair.substr(0, equals), {});
    if (!key || *key != name) continue;
    return percent_decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), {});
  }
  return std::nullopt;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/:").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += base::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace shoal::registry
