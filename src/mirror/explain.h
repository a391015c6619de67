// Failures in words: for clients (Refusal), for counters (one word).
#pragma once

#include <string_view>

#include "shoal/mirror/mirror.h"
#include "shoal/upstream/upstream.h"

namespace shoal::mirror {

[[nodiscard]] std::string_view to_word(upstream::Failure::Kind kind);
[[nodiscard]] std::string_view to_word(Refusal::Kind kind);
// Only upstream's own 404 is "not found"; whatever else went wrong is our trouble, and worth asking again.
[[nodiscard]] Refusal explain(const upstream::Failure& failure);

// For a client that is not kept waiting any longer; with the last error of a failing upstream.
[[nodiscard]] std::string not_answered_yet(std::string_view registry, upstream::Registry& upstream);
[[nodiscard]] std::string too_large(std::string_view registry, std::uint64_t limit);

}  // namespace shoal::mirror
