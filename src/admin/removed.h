// What operators remove, as events. Any thread.
#pragma once

#include <string>

#include "shoal/obs/event.h"

namespace shoal::admin {

inline void tell_removed(obs::EventSink& events, obs::EventObject object, const std::string& repository,
                         const std::string& digest, const std::string& tag) {
  if (!events.wants(obs::EventKind::remove, object)) return;
  obs::Event event;
  event.kind = obs::EventKind::remove;
  event.object = object;
  event.repository = repository;
  event.digest = digest;
  event.tag = tag;
  event.reason = "admin";
  events.publish(std::move(event));
}

}  // namespace shoal::admin
