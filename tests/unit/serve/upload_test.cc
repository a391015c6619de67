// Uploads, as a client sees them.
#include "hosted_fixture.h"

namespace shoal::serve {
namespace {

using http::Method;
using test::some_bytes;

const std::string kUploads = "/v2/team/app/blobs/uploads/";

std::string start(HostedNode& node) {
  auto& answer = node.ask(Method::post, kUploads);
  EXPECT_EQ(answer.status(), 202);
  EXPECT_EQ(answer.header("Range"), "0-0");
  EXPECT_EQ(answer.header("Location"), kUploads + answer.header("Docker-Upload-UUID"));
  return answer.header("Location");
}

void expect_blob(HostedNode& node, const std::string& bytes, const base::Digest& digest) {
  auto& answer = node.get("/v2/team/app/blobs/" + digest.to_string());
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.header("Cache-Status"), "shoal; hit");
  EXPECT_EQ(node.text(answer), bytes);
}

TEST(Upload, PostThenPutStoresTheBlob) {
  HostedNode node;
  const auto bytes = some_bytes(100'000);
  const auto digest = base::digest_of(bytes);
  const auto location = start(node);
  auto& answer = node.ask(Method::put, location + "?digest=" + digest.to_string(), bytes);
  EXPECT_EQ(answer.status(), 201) << answer.response.text;
  EXPECT_EQ(answer.header("Location"), "/v2/team/app/blobs/" + digest.to_string());
  EXPECT_EQ(answer.header("Docker-Content-Digest"), digest.to_string());
  expect_blob(node, bytes, digest);
  EXPECT_EQ(node.get(location).status(), 404) << "the session is over";
  EXPECT_EQ(node.world.metric("shoal_pushes_total", {{"kind", "blob"}, {"outcome", "done"}}), 1);
  EXPECT_EQ(node.world.metric("shoal_received_bytes_total"), 100'000);
}

TEST(Upload, OnePostStoresTheBlob) {
  HostedNode node;
  for (const auto algorithm : {base::HashAlgorithm::sha256, base::HashAlgorithm::sha512}) {
    for (const auto& bytes : {std::string(), some_bytes(5000)}) {
      const auto digest = base::digest_of(bytes, algorithm);
      auto& answer = node.ask(Method::post, kUploads + "?digest=" + digest.to_string(), bytes);
      EXPECT_EQ(answer.status(), 201) << answer.response.text;
      EXPECT_EQ(answer.header("Docker-Content-Digest"), digest.to_string());
      expect_blob(node, bytes, digest);
    }
  }
  EXPECT_EQ(node.world.store.hosted().sessions(), 0U);
}

TEST(Upload, ChunksInOrderAreTakenAndOthersAre416BeforeAnyByte) {
  HostedNode node;
  const std::string bytes = some_bytes(60);
  const auto location = start(node);
  const auto patch = [&](const std::string& range, const std::string& part) -> HostedAnswer& {
    return node.ask(Method::patch, location, part, {{"Content-Range", range}});
  };
  EXPECT_EQ(patch("22-41", bytes.substr(22, 20)).status(), 416);
  EXPECT_EQ(node.get(location).header("Range"), "0-0");
  auto& first = patch("0-21", bytes.substr(0, 22));
  EXPECT_EQ(first.status(), 202);
  EXPECT_EQ(first.header("Range"), "0-21");
  EXPECT_EQ(first.header("Location"), location);
  for (const char* wrong : {"0-21", "23-44", "21-42"}) {
    auto& answer = patch(wrong, bytes.substr(0, 22));
    EXPECT_EQ(answer.status(), 416) << wrong;
    EXPECT_EQ(answer.header("Range"), "0-21");
    EXPECT_EQ(answer.header("Location"), location);
  }
  auto& status = node.get(location);
  EXPECT_EQ(status.status(), 204);
  EXPECT_EQ(status.header("Range"), "0-21");
  EXPECT_EQ(patch("22-41", bytes.substr(22, 20)).status(), 202);
  const auto digest = base::digest_of(bytes);
  const auto put = location + "?digest=" + digest.to_string();
  EXPECT_EQ(node.ask(Method::put, put, bytes.substr(42), {{"Content-Range", "41-58"}}).status(), 416);
  EXPECT_EQ(node.ask(Method::put, put, bytes.substr(42), {{"Content-Range", "42-59"}}).status(), 201);
  expect_blob(node, bytes, digest);
}

TEST(Upload, StreamWithoutLengthOrRangeIsAppended) {
  HostedNode node;
  const auto bytes = some_bytes(3'000'000);
  const auto location = start(node);
  auto body = node.body();
  const auto id = node.begin(Method::patch, location, body);
  for (std::size_t at = 0; at < bytes.size(); at += 100'000) body->give(bytes.substr(at, 100'000));
  body->end();
  auto& answer = node.answered(id);
  EXPECT_EQ(answer.status(), 202);
  EXPECT_EQ(answer.header("Range"), "0-2999999");
  const auto digest = base::digest_of(bytes);
  EXPECT_EQ(node.ask(Method::put, location + "?digest=" + digest.to_string()).status(), 201);
  expect_blob(node, bytes, digest);
}

TEST(Upload, ReadsNoFurtherAheadThanItCanWrite) {
  HostedNode node;
  const auto location = start(node);
  auto body = node.body();
  (void)node.begin(Method::patch, location, body);
  for (int i = 0; i < 100; ++i) body->give("x");
  node.world.run();
  EXPECT_EQ(body->reads, 101) << "with writes answered it goes on";
}

TEST(Upload, WrongLengthsAreSizeInvalid) {
  HostedNode node;
  const auto location = start(node);
  auto& mismatch = node.ask(Method::patch, location, "12345", {{"Content-Range", "0-9"}});
  EXPECT_EQ(mismatch.status(), 400);
  EXPECT_NE(mismatch.response.text.find("SIZE_INVALID"), std::string::npos);
  EXPECT_EQ(node.get(location).header("Range"), "0-0");
  for (const char* part : {"123", "1234567"}) {  // without Content-Length it shows at the end
    auto body = node.body();
    body->give(part);
    body->end();
    const auto fresh = start(node);
    auto& answer = node.answered(node.begin(Method::patch, fresh, body, {{"Content-Range", "0-4"}}));
    EXPECT_EQ(answer.status(), 400);
    EXPECT_NE(answer.response.text.find("SIZE_INVALID"), std::string::npos);
  }
  EXPECT_EQ(node.ask(Method::patch, location, "12345", {{"Content-Range", "four"}}).status(), 400);
}

TEST(Upload, BadDigestsAreRefusedAndAMissingOneLeavesTheSession) {
  HostedNode node;
  const auto location = start(node);
  for (const char* query : {"", "?digest=", "?digest=sha256:abc", "?digest=md5:0123"}) {
    auto& answer = node.ask(Method::put, location + query, "hello");
    EXPECT_EQ(answer.status(), 400) << query;
    EXPECT_NE(answer.response.text.find("DIGEST_INVALID"), std::string::npos);
  }
  EXPECT_EQ(node.get(location).status(), 204);
  auto& wrong = node.ask(Method::put, location + "?digest=" + base::digest_of("other").to_string(), "hello");
  EXPECT_EQ(wrong.status(), 400);
  EXPECT_NE(wrong.response.text.find("DIGEST_INVALID"), std::string::npos);
  EXPECT_EQ(node.get("/v2/team/app/blobs/" + base::digest_of("hello").to_string()).status(), 404);
}

TEST(Upload, UnknownSessionsAndOtherRepositoriesAre404) {
  HostedNode node;
  const auto location = start(node);
  const auto elsewhere = "/v2/team/other" + location.substr(std::string("/v2/team/app").size());
  for (const auto& path : {elsewhere, kUploads + "nothing"}) {
    for (const auto method : {Method::get, Method::patch, Method::del}) {
      auto& answer = node.ask(method, path, method == Method::patch ? "x" : "");
      EXPECT_EQ(answer.status(), 404);
      EXPECT_NE(answer.response.text.find("BLOB_UPLOAD_UNKNOWN"), std::string::npos);
    }
    EXPECT_EQ(node.ask(Method::put, path + "?digest=" + base::digest_of("x").to_string(), "x").status(), 404);
  }
}

TEST(Upload, CancelEndsTheSession) {
  HostedNode node;
  const auto location = start(node);
  EXPECT_EQ(node.ask(Method::del, location).status(), 204);
  EXPECT_EQ(node.ask(Method::del, location).status(), 404);
  EXPECT_EQ(node.get(location).status(), 404);
}

TEST(Upload, BrokenConnectionLeavesWhatWasAppendedAndTheNextRequestGoesOn) {
  HostedNode node;
  const auto bytes = some_bytes(1000);
  const auto location = start(node);
  auto body = node.body(1000);
  const auto id = node.begin(Method::patch, location, body);
  body->give(bytes.substr(0, 600));
  node.world.run();
  body->fail({base::ErrorKind::gone, "the client left"});
  node.world.run();
  node.operations.erase(id);
  EXPECT_EQ(node.target->answers[id].times, 0);
  EXPECT_EQ(node.get(location).header("Range"), "0-599");
  EXPECT_EQ(node.ask(Method::patch, location, bytes.substr(600), {{"Content-Range", "600-999"}}).status(), 202);
  EXPECT_EQ(node.ask(Method::put, location + "?digest=" + base::digest_of(bytes).to_string()).status(), 201);
}

TEST(Upload, SecondRequestTakesOverFromOneThatHangs) {
  HostedNode node;
  const auto location = start(node);
  auto hanging = node.body();
  const auto first = node.begin(Method::patch, location, hanging);
  hanging->give("abc");
  node.world.run();
  EXPECT_EQ(node.ask(Method::patch, location, "def", {{"Content-Range", "3-5"}}).status(), 202);
  hanging->give("ghi");
  auto& late = node.answered(first);
  EXPECT_EQ(late.status(), 409);
  EXPECT_EQ(node.get(location).header("Range"), "0-5");
}

TEST(Upload, AbandonedSinglePostLeavesNoSession) {
  HostedNode node;
  auto body = node.body(10);
  const auto id = node.begin(Method::post, kUploads + "?digest=" + base::digest_of("x").to_string(), body);
  body->give("abc");
  node.world.run();
  node.operations.erase(id);
  EXPECT_EQ(node.world.store.hosted().sessions(), 0U);
}

TEST(Upload, LimitsAreToldWith413And429And507) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.max_blob_bytes = 100; });
  const auto location = start(node);
  EXPECT_EQ(node.ask(Method::patch, location, std::string(101, 'x')).status(), 413);
  EXPECT_EQ(node.ask(Method::patch, location, std::string(60, 'x')).status(), 202);
  EXPECT_EQ(node.ask(Method::patch, location, std::string(60, 'x')).status(), 413) << "the sum counts";
  auto unknown = node.body();
  unknown->give(std::string(41, 'x'));
  unknown->end();
  EXPECT_EQ(node.answered(node.begin(Method::patch, location, unknown)).status(), 413);
  node.world.store.hosted().fill_up_at(70);
  EXPECT_EQ(node.ask(Method::patch, location, std::string(20, 'x')).status(), 507);
  EXPECT_EQ(node.get(location).status(), 404) << "it would keep others from pushing";
  EXPECT_EQ(node.world.store.hosted().sessions(), 0U);
  node.world.store.hosted().most_uploads(0);
  auto& busy = node.ask(Method::post, kUploads);
  EXPECT_EQ(busy.status(), 429);
  EXPECT_FALSE(busy.header("Retry-After").empty());
}

TEST(Upload, MountLinksAndFallsBackToASession) {
  HostedNode node;
  const auto digest = node.push_blob("team/base", "shared");
  const auto mount = kUploads + "?mount=" + digest.to_string();
  auto& done = node.ask(Method::post, mount + "&from=team/base");
  EXPECT_EQ(done.status(), 201);
  EXPECT_EQ(done.header("Location"), "/v2/team/app/blobs/" + digest.to_string());
  expect_blob(node, "shared", digest);
  const auto other = "/v2/team/other/blobs/uploads/?mount=" + digest.to_string();
  for (const std::string query : {"&from=team/empty", "", "&from=", "&from=../x", "&from=UPPER"}) {
    auto& answer = node.ask(Method::post, other + query);
    EXPECT_EQ(answer.status(), 202) << query;
    EXPECT_TRUE(answer.header("Location").starts_with("/v2/team/other/blobs/uploads/"));
  }
  EXPECT_EQ(node.get("/v2/team/other/blobs/" + digest.to_string()).status(), 404) << "not without a mount";
  node.edit([&](HostedOptions& options) { options.anonymous_mount = true; });
  EXPECT_EQ(node.ask(Method::post, other).status(), 201);
  EXPECT_EQ(node.ask(Method::post, kUploads + "?mount=nonsense&from=team/base").status(), 202);
}

TEST(Upload, ExpectContinueIsRefusedWithoutReading) {
  HostedNode node;
  auto body = node.body(10);
  auto& answer = node.answered(node.begin(Method::patch, kUploads + "nothing", body, {{"Expect", "100-continue"}}));
  EXPECT_EQ(answer.status(), 404);
  EXPECT_EQ(body->reads, 0);
}

TEST(Upload, MirroredRepositoriesAreReadOnly) {
  HostedNode node;
  struct Case {
    Method method;
    std::string path, allow;
  };
  const auto digest = base::digest_of("x").to_string();
  for (const auto& c : std::vector<Case>{{Method::post, "/v2/library/nginx/blobs/uploads/", ""},
                                         {Method::put, "/v2/library/nginx/manifests/1", "GET, HEAD"},
                                         {Method::del, "/v2/library/nginx/blobs/" + digest, "GET, HEAD"},
                                         {Method::patch, "/v2/docker.io/team/app/blobs/uploads/1", ""}}) {
    auto& answer = node.ask(c.method, c.path);
    EXPECT_EQ(answer.status(), 405) << c.path;
    EXPECT_EQ(answer.header("Allow"), c.allow);
    EXPECT_NE(answer.response.text.find("this is a mirror of docker.io"), std::string::npos);
  }
}

TEST(Upload, WrongMethodsTellTheRightOnes) {
  HostedNode node;
  EXPECT_EQ(node.get(kUploads).header("Allow"), "POST");
  EXPECT_EQ(node.ask(Method::post, "/v2/team/app/manifests/1").header("Allow"), "GET, HEAD, PUT, DELETE");
  EXPECT_EQ(node.ask(Method::put, "/v2/team/app/tags/list").header("Allow"), "GET, HEAD");
  EXPECT_EQ(node.ask(Method::del, "/v2/").header("Allow"), "GET, HEAD");
}

}  // namespace
}  // namespace shoal::serve
