// HostedNode: a handler over a store in memory that hosts "team/**", beside a mirror of docker.io.
#pragma once

#include <gtest/gtest.h>

#include <deque>

#include "shoal/serve/handler.h"
#include "support/mirror_world.h"

namespace shoal::serve {

struct HostedAnswer {
  int times = 0;
  http::Response response;
  [[nodiscard]] int status() const { return response.status; }
  [[nodiscard]] std::string header(std::string_view name) const { return std::string(response.headers.get(name)); }
};

struct HostedTarget final : http::Responder::Target {
  void respond(std::uint64_t exchange, http::Response response) override {
    auto& answer = answers[exchange];
    ++answer.times;
    if (response.on_end) response.on_end({.body_bytes = 0, .first_byte = {}, .total = {}, .complete = true});
    answer.response = std::move(response);
  }
  virtual ~HostedTarget() = default;
  std::map<std::uint64_t, HostedAnswer> answers;
};

// A body that the test delivers piece by piece.
class FakeBody final : public http::RequestBody {
 public:
  explicit FakeBody(base::Loop& loop, std::optional<std::uint64_t> length) : loop_(loop), length_(length) {}
  void give(std::string bytes) {
    queue_.emplace_back(std::make_shared<const std::string>(std::move(bytes)));
    flush();
  }
  void end() {
    queue_.emplace_back(Chunk());
    flush();
  }
  void fail(base::Error error) {
    queue_.emplace_back(std::move(error));
    flush();
  }
  void read(base::UniqueFunction<void(base::Result<Chunk>)> done) override {
    EXPECT_FALSE(waiting_) << "one read at a time";
    ++reads;
    waiting_ = std::move(done);
    flush();
  }
  std::optional<std::uint64_t> length() const override { return length_; }
  int reads = 0;

 private:
  void flush() {
    if (!waiting_ || queue_.empty()) return;
    loop_.post([done = std::exchange(waiting_, {}), piece = std::move(queue_.front())]() mutable { done(piece); });
    queue_.pop_front();
  }
  base::Loop& loop_;
  std::optional<std::uint64_t> length_;
  std::deque<base::Result<Chunk>> queue_;
  base::UniqueFunction<void(base::Result<Chunk>)> waiting_;
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;

class HostedNode {
 public:
  explicit HostedNode(auth::Authenticator* authenticator = nullptr) {
    RouteTable table;
    table.default_upstream = "docker.io";
    table.upstreams = {"docker.io"};
    table.hosted = {"team/**"};
    handler = std::make_unique<DistributionHandler>(
        DistributionHandler::Parts{world.loops[0], *world.mirror, world.sets[0], log, make_probe(world.metrics),
                                   world.clock, &world.store, &world.disk, authenticator, nullptr, nullptr,
                                   &world.events},
        std::make_shared<const RouteTable>(table), nullptr);
  }
  ~HostedNode() { operations.clear(); }

  // From the defaults.
  template <class F>
  void edit(F change) {
    auto options = std::make_shared<HostedOptions>();
    change(*options);
    handler->set_hosted(std::move(options));
  }

  std::uint64_t begin(http::Method method, const std::string& path, std::shared_ptr<FakeBody> body,
                      const HeaderList& headers = {}, const std::string& peer = "127.0.0.1") {
    http::Request request;
    request.method = method;
    request.target = path;
    request.peer.ip = peer;
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    const auto mode = handler->body_mode(request);
    EXPECT_EQ(mode == http::BodyMode::stream,
              method == http::Method::post || method == http::Method::put || method == http::Method::patch);
    if (mode == http::BodyMode::stream) request.stream = std::move(body);
    const auto id = ++last;
    if (auto operation = handler->handle(request, http::Responder(target, id))) operations[id] = std::move(operation);
    return id;
  }
  [[nodiscard]] std::shared_ptr<FakeBody> body(std::optional<std::uint64_t> length = std::nullopt) {
    return std::make_shared<FakeBody>(world.loops[0], length);
  }
  HostedAnswer& answered(std::uint64_t id) {
    world.run();
    auto& answer = target->answers[id];
    EXPECT_EQ(answer.times, 1);
    return answer;
  }
  // A whole request; `bytes` go in two pieces.
  HostedAnswer& ask(http::Method method, const std::string& path, const std::string& bytes = "",
                    const HeaderList& headers = {}) {
    auto stream = body(bytes.size());
    const auto half = bytes.size() / 2;
    if (half > 0) stream->give(bytes.substr(0, half));
    if (!bytes.empty()) stream->give(bytes.substr(half));
    stream->end();
    return answered(begin(method, path, stream, headers));
  }
  HostedAnswer& get(const std::string& path, const HeaderList& headers = {}) {
    return ask(http::Method::get, path, "", headers);
  }
  std::string text(HostedAnswer& answer) {
    if (!answer.response.source) return answer.response.text;
    test::Body read(std::move(answer.response.source));
    read.follow();
    world.run();
    return read.bytes;
  }
  // Pushes in one request; returns the digest.
  base::Digest push_blob(const std::string& repository, const std::string& bytes) {
    const auto digest = base::digest_of(bytes);
    auto& answer = ask(http::Method::post, "/v2/" + repository + "/blobs/uploads/?digest=" + digest.to_string(), bytes);
    EXPECT_EQ(answer.status(), 201) << answer.response.text;
    return digest;
  }
  HostedAnswer& put_manifest(const std::string& repository, const std::string& reference, const std::string& bytes,
                             const std::string& type = "application/vnd.oci.image.manifest.v1+json") {
    return ask(http::Method::put, "/v2/" + repository + "/manifests/" + reference, bytes, {{"Content-Type", type}});
  }
  // An image manifest whose config is `config`.
  [[nodiscard]] static std::string image(const base::Digest& config, const std::string& more = "") {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
           R"("application/vnd.oci.image.config.v1+json","digest":")" +
           config.to_string() + R"(","size":2},"layers":[])" + more + "}";
  }

  test::MirrorWorld world;
  obs::AccessLog log{obs::AccessLogOptions{}};
  std::shared_ptr<HostedTarget> target = std::make_shared<HostedTarget>();
  std::unique_ptr<DistributionHandler> handler;
  std::map<std::uint64_t, std::unique_ptr<http::Operation>> operations;
  std::uint64_t last = 0;
};

}  // namespace shoal::serve
