#include "shoal/net/event_loop.h"
#include "shoal/notify/notify.h"

namespace shoal::notify {
namespace {

constexpr std::size_t kMaxAnswer = 64 * 1024;  // what a receiver says beyond its status is of no interest

class FetchSending final : public Sender::Sending, private fetch::Sink {
 public:
  FetchSending(fetch::Client& client, fetch::Request request,
               base::UniqueFunction<void(base::Result<Sender::Reply>)> done)
      : done_(std::move(done)), transfer_(client.start(std::move(request), *this)) {}

 private:
  void on_head(const fetch::ResponseHead& head) override {
    reply_.status = head.status;
    reply_.retry_after = head.header("retry-after");
  }
  fetch::Flow on_data(std::string_view bytes) override {
    read_ += bytes.size();
    if (read_ > kMaxAnswer) finish(reply_);
    return fetch::Flow::go_on;
  }
  // The status decides, whatever becomes of the rest.
  void on_end(base::Result<void> result) override {
    if (!result && reply_.status == 0) return finish(result.error());
    finish(reply_);
  }
  // Drops this, as a rule.
  void finish(base::Result<Sender::Reply> result) {
    auto done = std::exchange(done_, nullptr);
    if (done) done(std::move(result));
  }

  base::UniqueFunction<void(base::Result<Sender::Reply>)> done_;
  Sender::Reply reply_;
  std::size_t read_ = 0;
  fetch::Transfer transfer_;  // last: it goes first
};

class FetchSender final : public Sender {
 public:
  FetchSender(net::EventLoop& loop, const std::string& user_agent)
      : client_(loop, {.max_connections = 128,
                       .max_connections_per_host = 128,
                       .max_idle_connections = 16,
                       .max_header_bytes = 64 * 1024,
                       .user_agent = user_agent,
                       .buffer_bytes = 16 * 1024}) {}
  std::unique_ptr<Sending> send(fetch::Request request, base::UniqueFunction<void(base::Result<Reply>)> done) override {
    return std::make_unique<FetchSending>(client_, std::move(request), std::move(done));
  }

 private:
  fetch::Client client_;
};

}  // namespace

std::unique_ptr<Sender> make_sender(net::EventLoop& loop, const std::string& user_agent) {
  return std::make_unique<FetchSender>(loop, user_agent);
}

}  // namespace shoal::notify
