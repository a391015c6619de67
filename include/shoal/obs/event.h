// Event: something happened to content that a system outside may want to hear of: pushed, pulled, removed, fetched into
// the cache, evicted from it. Who makes it happen publishes to an EventSink and goes on; notify delivers. Values; any
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "shoal/base/clock.h"

namespace shoal::obs {

// The numbers are written to disk; do not renumber.
enum class EventKind : std::uint8_t { push = 0, mount = 1, pull = 2, remove = 3, fill = 4, evict = 5 };
enum class EventObject : std::uint8_t { manifest = 0, blob = 1, tag = 2, repository = 3 };
inline constexpr unsigned kEventKinds = 6, kEventObjects = 4;

[[nodiscard]] std::string_view to_string(EventKind kind);  // "push", ..., "delete", ...
[[nodiscard]] std::string_view to_string(EventObject object);

// The request that made it happen; all empty when none did (eviction, retention).
struct EventRequest {
  std::string id, peer, host, method, user_agent, user;
  bool secure = false;  // came over TLS
};

struct Event {
  EventKind kind{};
  EventObject object{};
  base::WallTime at{};     // filled in by publish() if it is not set
  std::string id;          // unique; filled in by publish()
  std::string repository;  // canonical; "" for an eviction: the blob may have been of several
  std::string digest;      // "" for a tag or a repository that was removed
  std::string tag;
  std::string media_type;
  std::uint64_t size = 0;
  std::string from;    // mount: from which repository; fill: from which upstream
  std::string reason;  // evict, and removals that nobody asked for over /v2/: "space", "admin", "gc", "retention"
  std::chrono::milliseconds took{0};  // fill
  EventRequest request;
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Cheap; ask before making an Event.
  [[nodiscard]] virtual bool wants(EventKind kind, EventObject object) const = 0;
  [[nodiscard]] virtual bool wants_any() const = 0;
  // Never waits and never fails; when nobody keeps up, events are lost and counted.
  virtual void publish(Event event) = 0;
};

[[nodiscard]] EventSink& no_events();  // wants nothing

}  // namespace shoal::obs
