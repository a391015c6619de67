// What every desk has: its loop, the index, the upstreams of its loop.
#pragma once

#include <optional>
#include <string>

#include "fill.h"
#include "index.h"
#include "mailbox.h"
#include "mirror_probe.h"
#include "shoal/mirror/mirror.h"

namespace shoal::mirror {

struct DeskParts {
  base::Loop& loop;
  base::Clock& clock;
  Index& index;
  base::Executor& disk;
  MirrorProbe& probe;
  UpstreamSet& upstreams;
  obs::EventSink& events;
  p2p::Neighbours* site = nullptr;  // null: none
};

// Routing has let it pass, so this is no "unknown registry": a reload has just taken it away, or clients use so many
// registries of a pattern at once that no more are made. Not a 404: the content may well exist.
[[nodiscard]] inline Refusal not_reachable(const Target& target) {
  return {Refusal::Kind::unavailable,
          "registry " + target.registry +
              " cannot be asked from here: it was just taken out of the configuration, or too many registries of its "
              "pattern are in use",
          std::chrono::seconds(30)};
}
[[nodiscard]] inline Refusal overloaded() {
  return {Refusal::Kind::overloaded, "too many requests wait for upstream registries", std::chrono::seconds(5)};
}

[[nodiscard]] inline Refusal stopping() {
  return {Refusal::Kind::overloaded, "this mirror is stopping", std::chrono::seconds(1)};
}
// What is held of an answer is not known.
[[nodiscard]] inline Refusal unreadable_index() {
  return {Refusal::Kind::unavailable, store::unreadable_index().message(), std::chrono::seconds(60)};
}
// Upstream's 404 holds for a while; not longer than `ttl` from now, though the clock may have been set back since.
[[nodiscard]] inline bool still_absent(const std::optional<base::WallTime>& until, std::chrono::seconds ttl,
                                       base::WallTime now) {
  return until && now < *until && *until - now <= ttl;
}

// nullopt: not configured.
[[nodiscard]] inline std::optional<FillSource> source_of(const DeskParts& parts, const Target& target) {
  auto upstream = parts.upstreams.find(target.registry);
  if (upstream == nullptr) return std::nullopt;
  return FillSource{std::move(upstream), target.registry, target.repository, target.canonical()};
}

}  // namespace shoal::mirror
