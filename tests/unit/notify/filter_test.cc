#include <gtest/gtest.h>

#include "some_events.h"

namespace shoal::notify {
namespace {

using obs::EventKind;
using obs::EventObject;

obs::Event event(EventKind kind, EventObject object, const std::string& repository) {
  obs::Event made;
  made.kind = kind;
  made.object = object;
  made.repository = repository;
  return made;
}

EndpointOptions only(std::initializer_list<EventKind> kinds, bool blobs = false) {
  EndpointOptions options;
  for (const auto kind : kinds) options.kinds[static_cast<std::size_t>(kind)] = true;
  options.blobs = blobs;
  return options;
}

TEST(Filter, TakesTheKindsThatAreAskedFor) {
  const auto options = only({EventKind::push, EventKind::evict});
  EXPECT_TRUE(takes(options, event(EventKind::push, EventObject::manifest, "a")));
  EXPECT_FALSE(takes(options, event(EventKind::pull, EventObject::manifest, "a")));
  EXPECT_FALSE(takes(options, event(EventKind::remove, EventObject::tag, "a")));
}

TEST(Filter, BlobsOnlyIfWantedExceptWhereEverythingIsABlob) {
  const auto without =
      only({EventKind::push, EventKind::mount, EventKind::pull, EventKind::remove, EventKind::fill, EventKind::evict});
  for (const auto kind : {EventKind::push, EventKind::mount, EventKind::pull, EventKind::remove}) {
    EXPECT_FALSE(takes(without, event(kind, EventObject::blob, "a"))) << to_string(kind);
    EXPECT_TRUE(takes(only({kind}, true), event(kind, EventObject::blob, "a"))) << to_string(kind);
  }
  EXPECT_TRUE(takes(without, event(EventKind::fill, EventObject::blob, "docker.io/library/nginx")));
  EXPECT_TRUE(takes(without, event(EventKind::evict, EventObject::blob, "")));
}

TEST(Filter, RepositoriesByPattern) {
  auto options = only({EventKind::push, EventKind::evict});
  options.repositories = {"team/**", "docker.io/library/*"};
  EXPECT_TRUE(takes(options, event(EventKind::push, EventObject::manifest, "team/a/b")));
  EXPECT_TRUE(takes(options, event(EventKind::push, EventObject::manifest, "docker.io/library/nginx")));
  EXPECT_FALSE(takes(options, event(EventKind::push, EventObject::manifest, "other/a")));
  EXPECT_TRUE(takes(options, event(EventKind::evict, EventObject::blob, ""))) << "evictions have no repository";
}

TEST(Filter, NamesBecomeDirectories) {
  for (const char* good : {"ci", "0", "audit-log_2"}) EXPECT_TRUE(valid_name(good)) << good;
  for (const char* bad : {"", ".", "..", "a/b", "A", "-a", "a.b", "a b"}) EXPECT_FALSE(valid_name(bad)) << bad;
  EXPECT_FALSE(valid_name(std::string(65, 'a')));
}

}  // namespace
}  // namespace shoal::notify
