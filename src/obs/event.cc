#include "shoal/obs/event.h"

namespace shoal::obs {
namespace {

constexpr std::string_view kKinds[kEventKinds] = {"push", "mount", "pull", "delete", "fill", "evict"};
constexpr std::string_view kObjects[kEventObjects] = {"manifest", "blob", "tag", "repository"};

class NoEvents final : public EventSink {
 public:
  bool wants(EventKind, EventObject) const override { return false; }
  bool wants_any() const override { return false; }
  void publish(Event) override {}
};

}  // namespace

std::string_view to_string(EventKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::string_view to_string(EventObject object) { return kObjects[static_cast<std::size_t>(object)]; }

EventSink& no_events() {
  static NoEvents none;  // has no state
  return none;
}

}  // namespace shoal::obs
