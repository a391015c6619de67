#include "access_line.h"

#include <algorithm>
#include <iterator>

#include "escape.h"
#include "shoal/base/format.h"
#include "time_text.h"

namespace shoal::obs {
namespace {

constexpr std::size_t kLeastLineBytes = 512;  // room for the numbers and the short texts below
constexpr std::size_t kShortText = 64;        // id, peer, method: ours, or bounded by their nature

// Adds ` key=value` or `,"key":"value"` while there is room; cuts the value when there is not enough.
class Fields {
 public:
  Fields(std::string& out, bool json, std::size_t end) : out_(out), json_(json), end_(end) {}

  void text(std::string_view key, std::string_view value, std::size_t most = kNoLimit) {
    if (value.empty()) return;
    const std::size_t overhead = key.size() + (json_ ? 4 : 2);
    const std::size_t room = end_ > out_.size() ? end_ - out_.size() : 0;
    if (room < overhead + 8) return;
    start(key);
    const std::size_t limit = std::min(most, room - overhead);
    (void)(json_ ? append_json(out_, value, limit) : append_value(out_, value, limit));  // cut on purpose
  }
  template <class Number>
  void number(std::string_view key, Number value) {
    start(key);
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }
  void amount(std::string_view key, std::uint64_t value) {  // 0 goes without saying
    if (value > 0) number(key, value);
  }
  void milliseconds(std::string_view key, std::chrono::microseconds value) {
    start(key);
    const auto us = std::max<std::int64_t>(value.count(), 0);
    fmt::format_to(std::back_inserter(out_), "{}.{:03}", us / 1000, us % 1000);
  }
  void flag(std::string_view key, bool value) {
    start(key);
    out_.append(value ? "true" : "false");
  }

 private:
  void start(std::string_view key) {
    if (json_) {
      out_.append(",\"").append(key).append("\":");
    } else {
      out_.append(" ").append(key).append("=");
    }
  }
  std::string& out_;
  bool json_;
  std::size_t end_;
};

}  // namespace

void append_access_line(std::string& out, const AccessLine& line, bool json, std::size_t max_bytes) {
  const std::size_t end = out.size() + std::max(max_bytes, kLeastLineBytes) - 2;  // "}\n"
  out.append(json ? R"({"time":")" : "time=");
  append_time(out, line.at);
  if (json) out.push_back('"');
  Fields fields(out, json, end);
  fields.number("status", line.status);
  fields.number("bytes", line.bytes);
  fields.amount("from_disk", line.from_disk);
  fields.amount("from_upstream", line.from_upstream);
  fields.amount("from_neighbours", line.from_neighbours);
  fields.amount("from_swarm", line.from_swarm);
  fields.milliseconds("first_byte_ms", line.first_byte);
  fields.milliseconds("total_ms", line.total);
  fields.flag("complete", line.complete);
  fields.text("end", line.end, kShortText);
  fields.text("id", line.id, kShortText);
  fields.text("peer", line.peer, kShortText);
  fields.text("user", line.user, kShortText);
  fields.text("method", line.method, kShortText);
  fields.text("target", line.target);
  fields.text("repository", line.repository);
  fields.text("cache", line.cache);
  fields.text("user_agent", line.user_agent);
  fields.text("detail", line.detail);
  out.append(json ? "}\n" : "\n");
}

}  // namespace shoal::obs
