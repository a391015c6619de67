// Events to test with.
#pragma once

#include "shoal/notify/notify.h"

namespace shoal::notify {

inline const std::string kDigest = "sha256:" + std::string(64, 'a');

inline obs::Event pushed(const std::string& tag = "1") {
  obs::Event event;
  event.kind = obs::EventKind::push;
  event.object = obs::EventObject::manifest;
  event.at = base::WallTime(std::chrono::milliseconds(1'800'000'000'123));
  event.id = "00000000-0000-0000-0000-000000000001";
  event.repository = "team/app";
  event.digest = kDigest;
  event.tag = tag;
  event.media_type = "application/vnd.oci.image.manifest.v1+json";
  event.size = 482;
  event.request = {"0011223344556677", "10.0.0.9", "registry.lan:5000", "PUT", "docker/27", "ann", true};
  return event;
}

inline obs::Event evicted() {
  obs::Event event;
  event.kind = obs::EventKind::evict;
  event.object = obs::EventObject::blob;
  event.at = base::WallTime(std::chrono::milliseconds(1'800'000'000'123));
  event.id = "00000000-0000-0000-0000-000000000002";
  event.digest = kDigest;
  event.size = 7;
  event.reason = "space";
  return event;
}

// Takes every kind.
inline EndpointOptions endpoint(const std::string& name = "ci") {
  EndpointOptions options;
  options.name = name;
  options.url = "http://127.0.0.1:9/hook";
  options.kinds.fill(true);
  options.blobs = true;
  return options;
}

}  // namespace shoal::notify
