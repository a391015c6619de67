#include "body.h"

#include <gtest/gtest.h>

#include "shoal/base/digest.h"
#include "some_events.h"

namespace shoal::notify {
namespace {

const Source kSource{"edge-7", "89abcdef01234567"};

TEST(Body, AnEnvelopeOfDistribution) {
  const std::vector<obs::Event> events{pushed("1")};
  const auto body = make_body(endpoint(), events, kSource);
  EXPECT_EQ(body.content_type, "application/vnd.docker.distribution.events.v2+json");
  EXPECT_EQ(body.text,
            R"({"events":[{"id":"00000000-0000-0000-0000-000000000001","timestamp":"2027-01-15T08:00:00.123000Z",)"
            R"("action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
                kDigest +
                R"(","size":482,"length":482,"repository":"team/app","url":"https://registry.lan:5000/v2/team/app/)"
                R"(manifests/)" +
                kDigest +
                R"(","tag":"1"},"request":{"id":"0011223344556677","addr":"10.0.0.9","host":"registry.lan:5000",)"
                R"("method":"PUT","useragent":"docker/27"},"actor":{"name":"ann"},)"
                R"("source":{"addr":"edge-7","instanceID":"89abcdef01234567"},"shoal":{"object":"manifest"}}]})");
}

TEST(Body, ACloudEvent) {
  auto options = endpoint();
  options.format = Format::cloudevents;
  const std::vector<obs::Event> events{evicted()};
  const auto body = make_body(options, events, kSource);
  EXPECT_EQ(body.content_type, "application/cloudevents+json");
  EXPECT_EQ(body.text, R"({"specversion":"1.0","id":"00000000-0000-0000-0000-000000000002","source":"shoal://edge-7",)"
                       R"("type":"dev.shoal.blob.evict","subject":")" +
                           kDigest +
                           R"(","time":"2027-01-15T08:00:00.123000Z","datacontenttype":"application/json",)"
                           R"("data":{"action":"evict","target":{"digest":")" +
                           kDigest +
                           R"(","size":7,"length":7},"request":{"id":"","method":"","useragent":""},"actor":{},)"
                           R"("shoal":{"object":"blob","reason":"space"}}})");
}

TEST(Body, CloudEventsInBatchesAreAListEvenIfThereIsOne) {
  auto options = endpoint();
  options.format = Format::cloudevents;
  options.batch = 10;
  const std::vector<obs::Event> one{evicted()}, two{evicted(), pushed()};
  EXPECT_EQ(make_body(options, one, kSource).content_type, "application/cloudevents-batch+json");
  EXPECT_EQ(make_body(options, one, kSource).text.substr(0, 2), "[{");
  EXPECT_NE(make_body(options, two, kSource).text.find("},{\"specversion\""), std::string::npos);
}

TEST(Body, FillsMountsAndRemovalsSayWhatTheyAreAbout) {
  auto fill = evicted();
  fill.kind = obs::EventKind::fill;
  fill.repository = "docker.io/library/nginx";
  fill.reason.clear();
  fill.from = "docker.io";
  fill.took = std::chrono::milliseconds(250);
  EXPECT_NE(event_text(fill, kSource).find(R"("shoal":{"object":"blob","upstream":"docker.io","durationMs":250})"),
            std::string::npos);

  auto mount = pushed("");
  mount.kind = obs::EventKind::mount;
  mount.object = obs::EventObject::blob;
  mount.from = "team/base";
  const auto mounted = event_text(mount, kSource);
  EXPECT_NE(mounted.find(R"("action":"mount")"), std::string::npos);
  EXPECT_NE(mounted.find(R"("fromRepository":"team/base","url":"https://registry.lan:5000/v2/team/app/blobs/)"),
            std::string::npos);

  auto gone = pushed("old");
  gone.kind = obs::EventKind::remove;
  gone.object = obs::EventObject::tag;
  gone.digest.clear();
  gone.media_type.clear();
  gone.request = {};
  gone.reason = "retention";
  const auto removed = event_text(gone, kSource);
  EXPECT_NE(removed.find(R"("action":"delete","target":{"repository":"team/app","tag":"old"})"), std::string::npos);
  EXPECT_NE(removed.find(R"("reason":"retention")"), std::string::npos);
}

TEST(Body, BytesThatAreNoUtf8DoNotBreakIt) {
  auto event = pushed();
  event.request.user_agent = "\xff\xfe\"\n";
  const auto text = event_text(event, kSource);
  EXPECT_NE(text.find("\xef\xbf\xbd"), std::string::npos);
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(Body, TheSignatureIsHmacSha256) {  // RFC 4231, test case 2
  EXPECT_EQ(base::to_hex(base::hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(signature("Jefe", "what do ya want for nothing?").substr(0, 11), "sha256=5bdc");
}

}  // namespace
}  // namespace shoal::notify
