// What is sent: events as bodies in the two formats. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "shoal/notify/notify.h"

namespace shoal::notify {

struct Source {
  std::string name;      // the node's
  std::string instance;  // this run of it
};

struct Body {
  std::string content_type;
  std::string text;
};
// Distribution: one envelope. CloudEvents: the one event, or a batch if the endpoint's `batch` is more than one (a
// receiver that takes batches need not take single ones in turn, so the kind of body never changes by itself).
[[nodiscard]] Body make_body(const EndpointOptions& endpoint, std::span<const obs::Event> events, const Source& source);
// One event in Distribution's form, without an envelope.
[[nodiscard]] std::string event_text(const obs::Event& event, const Source& source);
// "sha256=<hex>": HMAC-SHA256 of the body.
[[nodiscard]] std::string signature(std::string_view secret, std::string_view body);

}  // namespace shoal::notify
