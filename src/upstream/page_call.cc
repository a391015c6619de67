#include "calls.h"
#include "exchange.h"
#include "judge.h"
#include "shoal/base/format.h"
#include "text.h"

namespace shoal::upstream {
namespace {

constexpr std::size_t kMaxPageBytes = 16 * 1024 * 1024;

// tags/list and referrers: passed through, so looked at only as far as an error page can be told from JSON.
class PageCall final : public Call::Impl, private Answer {
 public:
  PageCall(CallContext c, Ask ask, Registry::Done<TagPage> done)
      : done_(std::move(done)), exchange_(std::move(c.state), c.loop, c.client, std::move(ask), *this) {
    exchange_.start();
  }

 private:
  [[nodiscard]] Failure bad(std::string text) const {
    return make_failure(Failure::Kind::bad_answer, 200, base::format("{}: {}", about_, text));
  }
  std::optional<Failure> on_accept(const fetch::ResponseHead& head, const std::string&,
                                   const std::string& about) override {
    about_ = about;
    if (head.status != 200) return bad(base::format("answered {} to a list request", head.status));
    if (is_encoded(head)) return bad("a list with Content-Encoding");
    if (const auto length = head.content_length(); length && *length > kMaxPageBytes) {
      return bad(base::format("a list of {} bytes (limit {})", *length, kMaxPageBytes));
    }
    page_ = {};
    page_.content_type = head.header("content-type");
    page_.next = registry::next_query(joined_headers(head, "link"));
    if (const auto filters = head.header("oci-filters-applied"); !filters.empty()) {
      page_.headers.emplace_back("OCI-Filters-Applied", filters);
    }
    return std::nullopt;
  }
  Taken on_data(std::string_view bytes) override {
    if (bytes.size() > kMaxPageBytes - page_.body.size()) {
      return {.flow = fetch::Flow::go_on, .failure = bad(base::format("a list beyond {} bytes", kMaxPageBytes))};
    }
    page_.body.append(bytes);
    return {};
  }
  std::optional<Failure> on_whole() override {
    const auto first = page_.body.find_first_not_of(" \t\r\n");
    if (first == std::string::npos || page_.body[first] != '{') return bad("a list that is not a JSON object");
    return std::nullopt;
  }
  bool committed() const override { return false; }
  void on_done(std::optional<Failure> failure) override {
    auto done = std::move(done_);
    if (failure) return done(std::move(*failure));
    done(std::move(page_));
  }

  Registry::Done<TagPage> done_;
  std::string about_;
  TagPage page_;
  Exchange exchange_;
};

}  // namespace

Call start_page_get(CallContext context, std::string_view repository, std::string path, Registry::Done<TagPage> done) {
  Ask ask;
  ask.path = std::move(path);
  ask.repository = repository;
  return Call(std::make_unique<PageCall>(std::move(context), std::move(ask), std::move(done)));
}

}  // namespace shoal::upstream
