#include "shoal/fetch/client.h"

#include <algorithm>

#include "multi.h"
#include "shoal/base/format.h"

namespace shoal::fetch {

struct Client::Impl {
  Impl(net::EventLoop& l, ClientOptions options) : loop(l), multi(l, std::move(options)) {}
  net::EventLoop& loop;
  Multi multi;
};

Client::Client(net::EventLoop& loop, ClientOptions options) : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
Client::~Client() = default;

Transfer Client::start(Request request, Sink& sink) { return impl_->multi.start(std::move(request), sink); }

namespace {

constexpr std::uint64_t kReserveAtMost = 1 << 20;

// The Sink and the Transfer behind fetch_all, in one: the caller's handle owns both.
class Collector final : public Transfer::Impl, private Sink {
 public:
  Collector(base::Loop& loop, std::size_t max_body, base::UniqueFunction<void(base::Result<Client::Reply>)> done)
      : loop_(loop), max_body_(max_body), done_(std::move(done)) {}
  void run(Client& client, Request request) {
    url_ = request.url;
    transfer_ = client.start(std::move(request), *this);
  }
  void resume() override {}

 private:
  void on_head(const ResponseHead& head) override {
    reply_.head = head;
    // What a server claims is not yet memory of ours.
    if (const auto size = head.content_length()) reply_.body.reserve(std::min({*size, max_body_, kReserveAtMost}));
  }
  Flow on_data(std::string_view bytes) override {
    if (bytes.size() > max_body_ - reply_.body.size()) {
      transfer_.cancel();
      too_large_ = loop_.schedule(std::chrono::milliseconds(0), [this] { done_now(too_large()); });
      return Flow::go_on;
    }
    reply_.body.append(bytes);
    return Flow::go_on;
  }
  void on_end(base::Result<void> result) override {
    if (!result.ok()) return done_now(result.error());
    done_now(std::move(reply_));
  }
  void done_now(base::Result<Client::Reply> reply) {
    auto done = std::move(done_);  // it may drop us
    done(std::move(reply));
  }
  [[nodiscard]] base::Error too_large() const {
    return {base::ErrorKind::full, base::format("{}: the answer exceeds {} bytes", printable_url(url_), max_body_)};
  }

  base::Loop& loop_;
  std::uint64_t max_body_;
  base::UniqueFunction<void(base::Result<Client::Reply>)> done_;
  std::string url_;
  Client::Reply reply_;
  base::Timer too_large_;
  Transfer transfer_;
};

}  // namespace

Transfer Client::fetch_all(Request request, std::size_t max_body,
                           base::UniqueFunction<void(base::Result<Reply>)> done) {
  auto collector = std::make_unique<Collector>(impl_->loop, max_body, std::move(done));
  collector->run(*this, std::move(request));
  return Transfer(std::move(collector));
}

}  // namespace shoal::fetch
