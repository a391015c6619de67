// A node as its neighbours meet it: /p2p/v1/ behind the seal, and what its tracker says of itself.
#include <gtest/gtest.h>

#include <algorithm>

#include "call.h"
#include "core.h"
#include "roster.h"
#include "shoal/http/server.h"
#include "support/fake_loop.h"
#include "support/memory_store.h"
#include "wire.h"

namespace shoal::test {
namespace {

using namespace p2p;

struct OneShelf final : Shelf {
  struct Nothing final : Pending {};
  struct Empty final : base::ByteSource {
    [[nodiscard]] base::Pulled pull(std::uint64_t) override { return base::SourceEnd{}; }
    void on_ready(base::UniqueFunction<void()>) override {}
  };
  std::unique_ptr<Pending> open_blob(const std::string&, const base::Digest&,
                                     base::UniqueFunction<void(base::Result<Item>)> done) override {
    Item item;
    item.read = [](std::uint64_t offset) -> std::unique_ptr<base::ByteSource> {
      return offset == 0 ? std::make_unique<Empty>() : nullptr;
    };
    done(std::move(item));
    return std::make_unique<Nothing>();
  }
  bool is_proven(const std::string&, const base::Digest&) override { return false; }
  base::Result<PeerManifest> find_manifest(const std::string&, const base::Digest&) override {
    return base::Error(base::ErrorKind::not_found, "none");
  }
  base::Result<PeerTag> find_tag(const std::string&, const std::string&) override {
    return base::Error(base::ErrorKind::not_found, "none");
  }
};

struct NextHandler final : http::Handler {
  std::unique_ptr<http::Operation> handle(const http::Request&, http::Responder) override { return nullptr; }
};

struct Answers final : http::Responder::Target {
  void respond(std::uint64_t, http::Response response) override { last = std::move(response); }
  std::optional<http::Response> last;
};

struct SiteRig {
  SiteRig() {
    SiteOptions options;
    options.enabled = true;
    options.secret = "a secret of this site, for tests";
    options.allow = {*Network::parse("127.0.0.0/8")};
    site = std::move(*Site::make(options, std::string(32, 'a'), store, disk, clock, metrics));
    handler = std::make_unique<PeerHandler>(*site, loop, shelf, next);
  }
  http::Response ask(http::Method method, const std::string& target, std::string body = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.host = "127.0.0.1:5000";
    request.peer.ip = "127.0.0.1";
    const auto sealed = site->core().seal->request(http::to_string(method), sealed_target(request.host, target),
                                                   std::string(32, 'b'), body, clock.wall_now());
    request.headers.add(kSealHeader, sealed.value);
    request.body = std::move(body);
    const auto operation = handler->handle(request, http::Responder(answers, 1));
    return std::move(answers->last).value_or(http::Response{});
  }

  FakeClock clock;
  FakeExecutor disk;
  FakeLoop loop{clock};
  MemoryStore store{disk, clock};
  obs::Metrics metrics;
  OneShelf shelf;
  NextHandler next;
  std::shared_ptr<Answers> answers = std::make_shared<Answers>();
  std::unique_ptr<Site> site;
  std::unique_ptr<PeerHandler> handler;
};

std::string hello() {
  Announce announce;
  announce.node = {std::string(32, 'b'), "http://127.0.0.1:5001", "", 0};
  return to_json(announce);
}

TEST(PeerHandler, ABlobWithoutASizeIsGivenFromItsBeginningOnly) {
  SiteRig rig;
  const auto path = "/p2p/v1/blobs/" + base::digest_of("x").to_string() + "?repository=r&offset=";
  const auto whole = rig.ask(http::Method::get, path + "0");
  EXPECT_EQ(whole.status, 200);
  EXPECT_NE(whole.source, nullptr);
  const auto rest = rig.ask(http::Method::get, path + "7");
  EXPECT_EQ(rest.status, 503);
  EXPECT_EQ(rest.source, nullptr);
}

TEST(Site, ATrackerThatIsNotAmongItsOwnTrackersNamesTheAddressItListensOn) {
  SiteRig rig;
  net::EventLoop loop(0);
  fetch::Client client(loop, {});
  rig.site->start(rig.loop, client, client, "http://127.0.0.1:5000");
  const auto answer = rig.ask(http::Method::post, std::string(kAnnouncePath), hello());
  EXPECT_EQ(answer.status, 200);
  const auto parsed = parse_announce_answer(answer.text);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(parsed->trackers, std::vector<std::string>{"http://127.0.0.1:5000"});
  ASSERT_EQ(parsed->members.size(), 1U);
  EXPECT_EQ(parsed->members[0].node.url, "http://127.0.0.1:5000");
  rig.site->core().roster.reset();  // before its client
}

TEST(Site, ItsOwnTrackerForgetsWhatTheNodeWantedWhenNobodyElseCouldBeAsked) {
  SiteRig rig;
  net::EventLoop loop(0);
  fetch::Client client(loop, {});
  rig.site->start(rig.loop, client, client, "http://127.0.0.1:5000");
  auto& core = rig.site->core();
  const auto digest = base::digest_of("wanted");
  ASSERT_TRUE(core.advise(core.self(), {digest, {}, {}}).ok());
  EXPECT_EQ(core.tracker.totals().interests, 1U);
  core.note_gone(digest);
  for (int i = 0; i < 3; ++i) {
    rig.loop.advance(std::chrono::seconds(1));
    rig.disk.run_all();
  }
  EXPECT_EQ(core.tracker.totals().interests, 0U);
  core.roster.reset();  // before its client
}

TEST(Site, ATrackerWhoseAddressOthersWouldNotAcceptIsNotNamedToThem) {
  SiteRig rig;
  net::EventLoop loop(0);
  fetch::Client client(loop, {});
  rig.site->start(rig.loop, client, client, "http://127.0.0.1:5000");
  {
    const std::lock_guard lock(rig.site->core().mutex);
    rig.site->core().tracker_states_ = {{"http://shoal.lan", true, ""}, {"http://10.0.0.1:5000", true, ""}};
  }
  const auto parsed = parse_announce_answer(rig.ask(http::Method::post, std::string(kAnnouncePath), hello()).text);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(parsed->trackers, (std::vector<std::string>{"http://127.0.0.1:5000", "http://10.0.0.1:5000"}));
  rig.site->core().roster.reset();
}

TEST(SealedCall, TheHostThatIsSealedIsTheHostThatIsSent) {
  SiteRig rig;
  for (const std::string url : {"https://node.lan:443", "http://10.0.0.7:80", "http://[fd00:0::7]:5000"}) {
    const auto made = sealed_call(rig.site->core(), "GET", url, "/p2p/v1/tags");
    const auto host = url.substr(url.find("://") + 3);
    const auto& headers = made.request.headers;
    EXPECT_EQ(std::count(headers.begin(), headers.end(), std::pair<std::string, std::string>("Host", host)), 1);
  }
}

}  // namespace
}  // namespace shoal::test
