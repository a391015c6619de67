#include "calls.h"
#include "exchange.h"
#include "judge.h"
#include "shoal/base/format.h"

namespace shoal::upstream {
namespace {

Ask blob_ask(std::string method, std::string_view repository, const base::Digest& digest) {
  Ask ask;
  ask.method = std::move(method);
  ask.path = api_path(repository, "blobs", digest.to_string());
  ask.repository = repository;
  return ask;
}

class BlobGetCall final : public Call::Impl, private Answer {
 public:
  BlobGetCall(CallContext c, Ask ask, std::uint64_t offset, std::optional<std::uint64_t> expected_size, BlobSink& sink,
              base::UniqueFunction<void(const std::string&)> served)
      : state_(c.state),
        loop_(c.loop),
        offset_(offset),
        expected_size_(expected_size),
        sink_(sink),
        served_(std::move(served)),
        exchange_(c.state, c.loop, c.client, std::move(ask), *this) {
    bool granted = false;
    ticket_ = state_->queue().enter(
        c.loop, [this] { exchange_.start(); }, &granted);
    if (granted) exchange_.start();
  }
  void resume() override {
    paused_ = false;
    if (!waits_) exchange_.resume();
  }

 private:
  std::optional<Failure> on_accept(const fetch::ResponseHead& head, const std::string& url,
                                   const std::string& about) override {
    auto judged = judge_blob(head, offset_, expected_size_, about);
    if (auto* failure = std::get_if<Failure>(&judged)) return std::move(*failure);
    const BlobStart start = std::get<BlobStart>(judged);
    about_ = about;
    at_ = start.offset;
    end_ = start.end;
    started_ = true;
    served_(url);
    sink_.on_start(start.offset, start.total);
    return std::nullopt;
  }
  Taken on_data(std::string_view bytes) override {
    if (end_ && bytes.size() > *end_ - at_) {
      return {.flow = fetch::Flow::go_on, .failure = bad(base::format("more than {} bytes", *end_))};
    }
    at_ += bytes.size();
    if (const auto wait = state_->note_blob_bytes(bytes.size()); wait.count() > 0) {
      waits_ = true;
      timer_ = loop_.schedule(wait, [this] {
        waits_ = false;
        if (!paused_) exchange_.resume();
      });
    }
    const auto alive = life_.watch();
    const auto flow = sink_.on_data(bytes);
    if (alive.gone()) return {.flow = flow, .failure = std::nullopt};
    paused_ = flow == fetch::Flow::pause;
    return {.flow = waits_ ? fetch::Flow::pause : flow, .failure = std::nullopt};
  }
  std::optional<Failure> on_whole() override {
    if (end_ && at_ != *end_) return bad(base::format("ended after {} of {} bytes", at_, *end_));
    return std::nullopt;
  }
  bool committed() const override { return started_; }
  void on_done(std::optional<Failure> failure) override {
    timer_.cancel();
    ticket_.reset();
    sink_.on_end(std::move(failure));
  }
  [[nodiscard]] Failure bad(std::string text) const {
    return make_failure(Failure::Kind::bad_answer, 200, base::format("{}: {}", about_, text));
  }

  std::shared_ptr<SharedState> state_;  // shared with the other loops
  base::Loop& loop_;
  std::uint64_t offset_;
  std::optional<std::uint64_t> expected_size_;
  BlobSink& sink_;
  base::UniqueFunction<void(const std::string&)> served_;
  std::string about_;
  std::uint64_t at_ = 0;
  std::optional<std::uint64_t> end_;
  bool started_ = false;
  bool paused_ = false;  // by the sink
  bool waits_ = false;   // for max_rate
  base::Timer timer_;
  Exchange exchange_;
  std::unique_ptr<FetchQueue::Ticket> ticket_;
  base::Lifetime life_;
};

// HEAD; where that is refused (some registries redirect it to a storage that refuses HEAD), GET of one byte.
class BlobHeadCall final : public Call::Impl, private Answer {
 public:
  BlobHeadCall(CallContext c, std::string_view repository, const base::Digest& digest, Registry::Done<BlobHead> done)
      : context_(std::move(c)), get_(blob_ask("GET", repository, digest)), done_(std::move(done)) {
    get_.headers.emplace_back("Range", "bytes=0-0");
    begin(blob_ask("HEAD", repository, digest));
  }

 private:
  void begin(Ask ask) {
    Answer& self = *this;  // make_unique sees no private base
    exchange_ = std::make_unique<Exchange>(context_.state, context_.loop, context_.client, std::move(ask), self);
    exchange_->start();
  }
  std::optional<Failure> on_accept(const fetch::ResponseHead& head, const std::string&,
                                   const std::string& about) override {
    if (getting_ && head.status == 206) {
      const auto range = parse_content_range(head.header("content-range"));
      result_.size = range ? range->total : std::nullopt;
    } else if (head.status == 200 && !is_encoded(head)) {
      result_.size = head.content_length();
      if (result_.size == std::optional<std::uint64_t>(0) && !getting_) result_.size.reset();
    } else {
      return make_failure(Failure::Kind::bad_answer, head.status, base::format("{}: answered {}", about, head.status));
    }
    if (getting_) {
      // The head is all we wanted; it may be a whole blob that follows.
      auto done = std::move(done_);
      BlobHead result = result_;
      exchange_.reset();
      done(result);
    }
    return std::nullopt;
  }
  Taken on_data(std::string_view) override { return {}; }
  std::optional<Failure> on_whole() override { return std::nullopt; }
  bool committed() const override { return false; }
  bool expects_refusal() const override { return !getting_; }
  void on_done(std::optional<Failure> failure) override {
    if (failure && !getting_ && get_may_do_better(*failure)) {
      getting_ = true;
      result_ = {};
      return begin(std::move(get_));
    }
    auto done = std::move(done_);
    if (failure) return done(std::move(*failure));
    done(result_);
  }

  CallContext context_;
  Ask get_;
  Registry::Done<BlobHead> done_;
  BlobHead result_;
  bool getting_ = false;
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace

Call start_blob_get(CallContext context, std::string_view repository, const base::Digest& digest, std::uint64_t offset,
                    std::optional<std::uint64_t> expected_size, unsigned source, BlobSink& sink,
                    base::UniqueFunction<void(const std::string& url)> served) {
  Ask ask = blob_ask("GET", repository, digest);
  if (offset > 0) ask.headers.emplace_back("Range", base::format("bytes={}-", offset));
  ask.source = source;
  ask.slow_is_stall = true;
  return Call(std::make_unique<BlobGetCall>(std::move(context), std::move(ask), offset, expected_size, sink,
                                            std::move(served)));
}

Call start_blob_head(CallContext context, std::string_view repository, const base::Digest& digest,
                     Registry::Done<BlobHead> done) {
  return Call(std::make_unique<BlobHeadCall>(std::move(context), repository, digest, std::move(done)));
}

}  // namespace shoal::upstream
