// What clients see: status, headers and bodies of GET and HEAD, warm and cold.
#include <gtest/gtest.h>

#include "shoal/registry/manifest.h"
#include "shoal/registry/push.h"
#include "shoal/registry/referrers.h"
#include "shoal/serve/handler.h"
#include "support/mirror_world.h"

namespace shoal::serve {
namespace {

using test::Body;
using test::FakeUpstream;
using test::MirrorWorld;
using test::some_bytes;
using Op = FakeUpstream::Op;

struct Answer {
  int times = 0;
  http::Response response;
  [[nodiscard]] std::string header(std::string_view name) const { return std::string(response.headers.get(name)); }
};

struct Target final : http::Responder::Target {
  void respond(std::uint64_t exchange, http::Response response) override {
    auto& answer = answers[exchange];
    ++answer.times;
    answer.response = std::move(response);
  }
  virtual ~Target() = default;
  std::map<std::uint64_t, Answer> answers;
};

class Serving {
 public:
  explicit Serving(mirror::MirrorOptions options = {}) : world(options) {
    RouteTable table;
    table.default_upstream = "docker.io";
    table.upstreams = {"docker.io"};
    table.library_prefix = {"docker.io"};
    handler =
        std::make_unique<DistributionHandler>(DistributionHandler::Parts{world.loops[0], *world.mirror, world.sets[0],
                                                                         log, make_probe(world.metrics), world.clock},
                                              std::make_shared<const RouteTable>(table), nullptr);
  }
  ~Serving() { operations.clear(); }

  std::uint64_t ask(http::Method method, const std::string& path,
                    std::initializer_list<std::pair<const char*, std::string>> headers = {}) {
    http::Request request;
    request.method = method;
    request.target = path;
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    const auto id = ++last;
    if (auto operation = handler->handle(request, http::Responder(target, id))) operations[id] = std::move(operation);
    return id;
  }
  Answer& get(const std::string& path, std::initializer_list<std::pair<const char*, std::string>> headers = {},
              http::Method method = http::Method::get) {
    const auto id = ask(method, path, headers);
    world.run();
    auto& answer = target->answers[id];
    EXPECT_EQ(answer.times, 1) << path;
    return answer;
  }
  Answer& head(const std::string& path, std::initializer_list<std::pair<const char*, std::string>> headers = {}) {
    return get(path, headers, http::Method::head);
  }
  std::string body(Answer& answer) {
    if (!answer.response.source) return answer.response.text;
    Body read(std::move(answer.response.source));
    read.follow();
    world.run();
    EXPECT_TRUE(read.ended) << (read.error ? read.error->message() : "never ends");
    EXPECT_EQ(answer.response.content_length.value_or(read.bytes.size()), read.bytes.size());
    return read.bytes;
  }

  MirrorWorld world;
  obs::AccessLog log{obs::AccessLogOptions{}};
  std::shared_ptr<Target> target = std::make_shared<Target>();
  std::unique_ptr<DistributionHandler> handler;
  std::map<std::uint64_t, std::unique_ptr<http::Operation>> operations;
  std::uint64_t last = 0;
};

std::string blob_path(const base::Digest& digest) { return "/v2/app/blobs/" + digest.to_string(); }

TEST(BlobAnswer, GetAndHeadTellTheSame) {
  Serving s;
  const auto bytes = some_bytes(1000);
  const auto digest = s.world.upstream.put_blob("library/app", bytes);
  for (const bool warm : {false, true}) {
    SCOPED_TRACE(warm);
    auto& head = s.head(blob_path(digest));
    auto& get = s.get(blob_path(digest));
    for (auto* answer : {&head, &get}) {
      EXPECT_EQ(answer->response.status, 200);
      EXPECT_EQ(answer->header("Docker-Content-Digest"), digest.to_string());
      EXPECT_EQ(answer->header("ETag"), '"' + digest.to_string() + '"');
      EXPECT_EQ(answer->header("Accept-Ranges"), "bytes");
      EXPECT_EQ(answer->header("Content-Type"), "application/octet-stream");
      EXPECT_EQ(answer->header("Docker-Distribution-Api-Version"), "registry/2.0");
      EXPECT_FALSE(answer->response.headers.has("Content-Encoding"));
      EXPECT_FALSE(answer->response.headers.has("OCI-Namespace"));
      EXPECT_EQ(answer->response.content_length, 1000U);
    }
    EXPECT_EQ(s.body(get), bytes);
    EXPECT_EQ(get.header("Cache-Status"), warm ? "shoal; hit" : "shoal; fwd=miss; stored");
  }
  EXPECT_EQ(s.world.count(Op::get_blob), 1U);
}

TEST(BlobAnswer, IfNoneMatchIs304) {
  Serving s;
  const auto digest = s.world.upstream.put_blob("library/app", "x");
  (void)s.get(blob_path(digest));
  for (const auto method : {http::Method::get, http::Method::head}) {
    auto& answer = s.get(blob_path(digest), {{"If-None-Match", '"' + digest.to_string() + '"'}}, method);
    EXPECT_EQ(answer.response.status, 304);
    EXPECT_EQ(answer.header("ETag"), '"' + digest.to_string() + '"');
    EXPECT_EQ(s.body(answer), "");
  }
}

TEST(BlobAnswer, RangesWarmAndCold) {
  const auto bytes = some_bytes(1000);
  for (const bool warm : {false, true}) {
    SCOPED_TRACE(warm);
    const auto fresh = [&](Serving& s) {
      const auto digest = s.world.upstream.put_blob("library/app", bytes);
      if (warm) (void)s.get(blob_path(digest));
      return blob_path(digest);
    };
    {
      Serving s;
      auto& answer = s.get(fresh(s), {{"Range", "bytes=10-19"}});
      EXPECT_EQ(answer.response.status, 206);
      EXPECT_EQ(answer.header("Content-Range"), "bytes 10-19/1000");
      EXPECT_EQ(s.body(answer), bytes.substr(10, 10));
    }
    {
      Serving s;
      auto& answer = s.get(fresh(s), {{"Range", "bytes=990-"}});
      EXPECT_EQ(answer.response.status, 206);
      EXPECT_EQ(s.body(answer), bytes.substr(990));
    }
    {
      Serving s;
      auto& answer = s.get(fresh(s), {{"Range", "bytes=-5"}});
      EXPECT_EQ(answer.response.status, 206);
      EXPECT_EQ(answer.header("Content-Range"), "bytes 995-999/1000");
      EXPECT_EQ(s.body(answer), bytes.substr(995));
    }
    {
      Serving s;
      auto& answer = s.get(fresh(s), {{"Range", "bytes=1000-"}});
      EXPECT_EQ(answer.response.status, 416);
      EXPECT_EQ(answer.header("Content-Range"), "bytes */1000");
      EXPECT_NE(answer.response.text.find("RANGE_INVALID"), std::string::npos);
    }
    {
      Serving s;
      auto& answer = s.get(fresh(s), {{"Range", "bytes=0-9"}, {"If-Range", "\"other\""}});
      EXPECT_EQ(answer.response.status, 200);
      EXPECT_EQ(s.body(answer), bytes);
    }
    {
      Serving s;
      auto& answer = s.get(fresh(s), {{"Range", "bytes=0-9,500-509"}});
      EXPECT_EQ(answer.response.status, 206);
      const auto type = answer.header("Content-Type");
      ASSERT_EQ(type.find("multipart/byteranges; boundary="), 0U);
      const auto boundary = type.substr(type.find('"') + 1, type.rfind('"') - type.find('"') - 1);
      const auto body = s.body(answer);  // checks the length too
      const auto part = [&](const std::string& range, const std::string& content) {
        return "--" + boundary + "\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes " + range +
               "/1000\r\n\r\n" + content + "\r\n";
      };
      EXPECT_EQ(body, "\r\n" + part("0-9", bytes.substr(0, 10)) + part("500-509", bytes.substr(500, 10)) + "--" +
                          boundary + "--\r\n");
    }
  }
}

TEST(BlobAnswer, UnknownSizeHasNoLengthAndIgnoresRange) {
  Serving s;
  const auto bytes = some_bytes(200'000);
  const auto digest = s.world.upstream.put_blob("library/app", bytes);
  s.world.upstream.manual_blobs(true);
  const auto id = s.ask(http::Method::get, blob_path(digest), {{"Range", "bytes=0-9"}});
  s.world.run();
  auto call = s.world.upstream.blob_call(0);
  call->start(0, std::nullopt);
  s.world.run();
  auto& answer = s.target->answers[id];
  EXPECT_EQ(answer.response.status, 200);
  EXPECT_EQ(answer.response.content_length, std::nullopt);
  call->data(bytes);
  call->end();
  s.world.run();
  EXPECT_EQ(s.body(answer), bytes);
}

TEST(BlobAnswer, BlobThatIsPassedOnAnswersBoundedRangesWhole) {
  Serving s;
  s.world.store.admit_up_to(10);  // known only when upstream tells the size
  const auto bytes = some_bytes(1000);
  const auto digest = s.world.upstream.put_blob("library/app", bytes);
  auto& bounded = s.get(blob_path(digest), {{"Range", "bytes=0-9"}});
  EXPECT_EQ(bounded.response.status, 200);
  EXPECT_EQ(bounded.header("Cache-Status"), "shoal; fwd=miss; detail=\"not kept\"");
  EXPECT_EQ(s.body(bounded), bytes);
  s.operations.clear();
  auto& to_the_end = s.get(blob_path(digest), {{"Range", "bytes=100-"}});
  EXPECT_EQ(to_the_end.response.status, 206);
  EXPECT_EQ(s.body(to_the_end), bytes.substr(100));
}

TEST(BlobAnswer, RefusalsHaveAnOciBody) {
  Serving s;
  auto& missing = s.get(blob_path(base::digest_of("nothing")));
  EXPECT_EQ(missing.response.status, 404);
  EXPECT_EQ(missing.header("Content-Type"), "application/json");
  EXPECT_NE(missing.response.text.find("\"BLOB_UNKNOWN\""), std::string::npos);
  s.world.upstream.fail_everything(test::failure(upstream::Failure::Kind::denied, 401));
  auto& denied = s.get(blob_path(base::digest_of("other")));
  EXPECT_EQ(denied.response.status, 503);
  EXPECT_EQ(denied.header("Retry-After"), "60");
  EXPECT_NE(denied.response.text.find("docker.io"), std::string::npos);
  auto limited = test::failure(upstream::Failure::Kind::rate_limited, 429);
  limited.retry_after = std::chrono::seconds(77);
  s.world.upstream.fail_everything(limited);
  auto& busy = s.head(blob_path(base::digest_of("third")));
  EXPECT_EQ(busy.response.status, 429);
  EXPECT_EQ(busy.header("Retry-After"), "77");
}

TEST(BlobAnswer, ClientThatLeavesIsNotAnswered) {
  Serving s;
  const auto digest = s.world.upstream.put_blob("library/app", "x");
  const auto id = s.ask(http::Method::get, blob_path(digest));
  s.operations.erase(id);
  s.world.run();
  EXPECT_EQ(s.target->answers.count(id), 0U);
}

TEST(Requests, EachOneIsOneCountAlsoWhenTheClientLeftFirst) {
  Serving s;
  const auto digest = s.world.upstream.put_blob("library/app", "x");
  const auto counted = [&s](const char* status) {
    return s.world.metric("shoal_requests_total", {{"object", "blob"}, {"status", status}});
  };
  const auto left = s.ask(http::Method::get, blob_path(digest));
  s.operations.erase(left);
  EXPECT_EQ(counted("4xx"), 1);
  auto& answer = s.get(blob_path(digest));
  EXPECT_EQ(counted("2xx"), 0);  // not before it has left
  answer.response.on_end({});
  s.operations.clear();
  EXPECT_EQ(counted("2xx"), 1);
  EXPECT_EQ(counted("4xx"), 1);
}

TEST(ManifestAnswer, GetHeadAndConditional) {
  Serving s;
  const std::string bytes = R"({"schemaVersion":2,"layers":[]})";
  const auto digest = s.world.upstream.put_manifest("library/app", "latest", bytes);
  for (const auto& reference : {std::string("latest"), digest.to_string()}) {
    auto& answer = s.get("/v2/app/manifests/" + reference + "?ns=docker.io");
    EXPECT_EQ(answer.response.status, 200);
    EXPECT_EQ(answer.response.text, bytes);
    EXPECT_EQ(answer.header("Docker-Content-Digest"), digest.to_string());
    EXPECT_EQ(answer.header("Content-Type"), "application/vnd.oci.image.manifest.v1+json");
    EXPECT_EQ(answer.header("OCI-Namespace"), "docker.io");
    EXPECT_EQ(s.head("/v2/app/manifests/" + reference).response.status, 200);
    auto& same = s.get("/v2/app/manifests/" + reference, {{"If-None-Match", "W/\"" + digest.to_string() + '"'}});
    EXPECT_EQ(same.response.status, 304);
  }
  s.world.advance(std::chrono::seconds(5));
  EXPECT_EQ(s.get("/v2/app/manifests/latest").header("Age"), "5");
}

TEST(ManifestAnswer, LargeOneIsTheRecordItself) {
  Serving s;
  const std::string bytes = R"({"schemaVersion":2,"layers":[],"x":")" + std::string(100'000, 'y') + "\"}";
  (void)s.world.upstream.put_manifest("library/app", "latest", bytes);
  auto& answer = s.get("/v2/app/manifests/latest");
  EXPECT_EQ(answer.response.content_length, bytes.size());
  EXPECT_EQ(s.body(answer), bytes);
  auto& part = s.get("/v2/app/manifests/latest", {{"Range", "bytes=1-3"}});
  EXPECT_EQ(part.response.status, 206);
  EXPECT_EQ(s.body(part), bytes.substr(1, 3));
}

TEST(ManifestAnswer, StaleOneWarnsAndSaysWhy) {
  Serving s;
  (void)s.world.upstream.put_manifest("library/app", "latest", R"({"schemaVersion":2})");
  (void)s.get("/v2/app/manifests/latest");
  s.world.clock.advance(std::chrono::seconds(120));
  auto odd = test::failure(upstream::Failure::Kind::denied, 401);
  odd.message = "docker.io: say \"no\"\r\nX-Evil: 1";
  s.world.upstream.fail_everything(odd);
  auto& answer = s.get("/v2/app/manifests/latest");
  EXPECT_EQ(answer.response.status, 200);
  EXPECT_EQ(answer.header("Age"), "120");
  EXPECT_EQ(answer.header("Warning"), "299 - \"stale: docker.io: say ?no???X-Evil: 1\"");
  EXPECT_EQ(answer.header("Cache-Status"), "shoal; hit; detail=\"stale: docker.io: say \\\"no\\\"??X-Evil: 1\"");
}

TEST(ManifestAnswer, UnknownTagIsManifestUnknown) {
  Serving s;
  auto& answer = s.get("/v2/app/manifests/nope");
  EXPECT_EQ(answer.response.status, 404);
  EXPECT_NE(answer.response.text.find("MANIFEST_UNKNOWN"), std::string::npos);
}

TEST(PageAnswer, LinkLeadsBackHere) {
  Serving s;
  s.world.upstream.put_tags("library/app", {R"({"tags":["a"]})", "application/json", "n=1&last=a", {}});
  auto& answer = s.get("/v2/docker.io/app/tags/list?n=1");
  EXPECT_EQ(answer.response.status, 200);
  EXPECT_EQ(answer.header("Link"), "</v2/docker.io/app/tags/list?n=1&last=a>; rel=\"next\"");
  EXPECT_EQ(s.body(answer), R"({"tags":["a"]})");
  auto& by_ns = s.get("/v2/app/tags/list?n=1&ns=docker.io");
  EXPECT_EQ(by_ns.header("Link"), "</v2/app/tags/list?n=1&last=a&ns=docker.io>; rel=\"next\"");
  EXPECT_EQ(s.get("/v2/app/tags/list?n=x").response.status, 400);
}

TEST(PageAnswer, OwnParametersDoNotReachUpstream) {
  Serving s;
  s.world.upstream.put_tags("library/app", {"{}", "application/json", "", {}});
  (void)s.get("/v2/app/tags/list?ns=docker.io&n=3&evil=1&last=b");
  EXPECT_EQ(s.world.upstream.log().back(), "list_tags library/app?n=3&last=b");
}

TEST(PageAnswer, ReferrersComeFromTagsWhereUpstreamHasNoApi) {
  Serving s;
  const auto subject = base::digest_of("subject");
  const auto path = "/v2/app/referrers/" + subject.to_string();
  const auto tag = registry::fallback_tag(subject);
  auto& none = s.get(path);
  EXPECT_EQ(none.response.status, 200) << "upstream said so of every tag that might hold some";
  EXPECT_EQ(s.body(none), registry::referrers_body({}));
  s.world.advance(std::chrono::minutes(10));  // "not found" is remembered for a while
  const std::string other = R"({"artifactType":"a/b","digest":")" + base::digest_of("x").to_string() + R"(","size":1})";
  s.world.upstream.put_manifest("library/app", tag, registry::referrers_body({other}),
                                std::string(registry::kOciIndex));
  const std::string signature = R"({"schemaVersion":2,"config":{},"layers":[]})";
  const auto signed_by = s.world.upstream.put_manifest("library/app", tag + ".sig", signature);
  auto& answer = s.get(path);
  EXPECT_EQ(answer.response.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), registry::kOciIndex);
  const auto body = s.body(answer);
  EXPECT_NE(body.find(other), std::string::npos) << body;
  EXPECT_NE(body.find(signed_by.to_string()), std::string::npos) << body;
  auto& filtered = s.get(path + "?artifactType=a/b");
  EXPECT_EQ(filtered.header("OCI-Filters-Applied"), "artifactType");
  EXPECT_EQ(s.body(filtered), registry::referrers_body({other}));
  s.world.advance(std::chrono::minutes(10));
  s.world.upstream.fail_always(test::FakeUpstream::Op::get_manifest,
                               test::failure(upstream::Failure::Kind::denied, 403));
  EXPECT_EQ(s.get("/v2/app/referrers/" + base::digest_of("y").to_string()).response.status, 503) << "not an empty list";
}

TEST(Requests, WritesAreRefused) {
  Serving s;
  auto& answer = s.get("/v2/app/manifests/latest", {}, http::Method::put);
  EXPECT_EQ(answer.response.status, 405);
  EXPECT_EQ(answer.header("Allow"), "GET, HEAD");
}

}  // namespace
}  // namespace shoal::serve
