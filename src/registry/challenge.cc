// WWW-Authenticate, RFC 9110 11.6.1. Lenient as clients are: unquoted URLs and missing commas pass; what cannot be
// read is skipped, never guessed.
#include "shoal/registry/wire.h"
#include "text.h"

namespace shoal::registry {
namespace {

constexpr std::size_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxParameters = 32;

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return done() ? '\0' : text_[at_]; }
  void step() { ++at_; }
  void skip_spaces() {
    while (!done() && is_space(peek())) ++at_;
  }
  void skip_separators() {
    while (!done() && (is_space(peek()) || peek() == ',')) ++at_;
  }
  std::string_view token() {
    const std::size_t start = at_;
    while (!done() && is_token_char(peek())) ++at_;
    return text_.substr(start, at_ - start);
  }
  // A quoted string, or anything up to a space or comma. nullopt: the quote is never closed.
  std::optional<std::string> value() {
    std::string out;
    if (peek() != '"') {
      while (!done() && !is_space(peek()) && peek() != ',') out.push_back(text_[at_++]);
      return out;
    }
    for (++at_; !done(); ++at_) {
      if (peek() == '"') {
        ++at_;
        return out;
      }
      if (peek() == '\\' && at_ + 1 < text_.size()) ++at_;
      out.push_back(peek());
    }
    return std::nullopt;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view www_authenticate) {
  std::vector<Challenge> out;
  Scanner scan(www_authenticate.substr(0, kMaxHeaderBytes));
  bool after_scheme = false;  // directly behind a scheme only: there "abc==" is a token68, not a parameter
  for (scan.skip_separators(); !scan.done(); scan.skip_separators()) {
    const std::string_view name = scan.token();
    if (name.empty()) {
      scan.step();  // no token can start here
      continue;
    }
    const char behind = scan.peek();
    if (behind == '/' || behind == ':') {  // rest of a token68
      (void)scan.value();                  // skipped
      continue;
    }
    scan.skip_spaces();
    if (scan.peek() == '=') {
      scan.step();
      scan.skip_spaces();
      if (after_scheme && scan.peek() == '=') {
        (void)scan.value();  // padding of a token68: skipped
        continue;
      }
      after_scheme = false;
      auto value = scan.value();
      if (!value) break;
      if (out.empty() || out.back().parameters.size() >= kMaxParameters) continue;
      out.back().parameters.emplace(lower(name), std::move(*value));  // the first of a name wins
      continue;
    }
    if (out.size() == kMaxChallenges) break;
    out.push_back(Challenge{.scheme = lower(name), .parameters = {}});
    after_scheme = true;
  }
  return out;
}

}  // namespace shoal::registry
