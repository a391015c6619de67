#include "explain.h"

#include <algorithm>

namespace shoal::serve {
namespace {

// An sf-string (RFC 8941 3.3.3): printable ASCII, quote and backslash escaped; short.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 200)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  }
  return out.append("\"");
}

}  // namespace

std::string cache_status(const mirror::Provenance& provenance) {
  using Kind = mirror::Provenance::Kind;
  std::string text = "shoal; ";
  switch (provenance.kind) {
    case Kind::hit: text += "hit"; break;
    case Kind::revalidated: text += "fwd=stale; fwd-status=200; detail=revalidated"; break;
    case Kind::stale: text += "hit"; break;
    case Kind::miss: text += provenance.stored ? "fwd=miss; stored" : "fwd=miss"; break;
    case Kind::collapsed: text += provenance.stored ? "fwd=miss; stored; collapsed" : "fwd=miss; collapsed"; break;
  }
  if (provenance.kind == Kind::stale) {
    text += "; detail=" + quoted("stale: " + provenance.detail);
  } else if (!provenance.detail.empty()) {
    text += "; detail=" + quoted(provenance.detail);
  }
  return text;
}

std::vector<std::string> passable_warnings(const std::vector<std::string>& theirs) {
  constexpr std::size_t kTheirs = 4096 - 256;  // ours has 200 and some
  constexpr std::string_view kBegin = "299 - \"";
  std::vector<std::string> out;
  std::size_t bytes = 0;
  for (const auto& warning : theirs) {
    const bool plain = std::all_of(warning.begin(), warning.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    const bool formed = warning.size() > kBegin.size() && warning.starts_with(kBegin) && warning.ends_with('"');
    if (!plain || !formed || bytes + warning.size() > kTheirs) continue;
    bytes += warning.size();
    out.push_back(warning);
  }
  return out;
}

RefusalAnswer answer_to(const mirror::Refusal& refusal, Subject subject) {
  using Kind = mirror::Refusal::Kind;
  switch (refusal.kind) {
    case Kind::not_found:
      return {404, subject == Subject::blob       ? "BLOB_UNKNOWN"
                   : subject == Subject::manifest ? "MANIFEST_UNKNOWN"
                                                  : "NAME_UNKNOWN"};
    case Kind::rate_limited: return {429, "TOOMANYREQUESTS"};
    case Kind::too_large: return {403, "DENIED"};
    case Kind::unavailable:
    case Kind::overloaded: break;
  }
  return {503, "UNAVAILABLE"};
}

}  // namespace shoal::serve
