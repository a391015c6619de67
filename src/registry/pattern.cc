// Doublestar patterns: compiled to a small NFA, run with a set of states. No backtracking, so no pattern is slow.
#include <array>
#include <bitset>
#include <cstdint>

#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"

namespace shoal::registry {
namespace {

constexpr std::size_t kMaxPattern = 1024;
constexpr int kMaxDepth = 16;  // of braces
// No byte of a pattern makes more than two nodes ("," in braces does); one for the end.
constexpr std::size_t kMaxNodes = 2 * kMaxPattern + 1;

enum class Op : std::uint8_t {
  byte,           // that byte
  any_in_part,    // ?: anything but '/'
  set,            // [abc]: pattern[a..b) is what stands between the brackets
  stars_in_part,  // *: any number of anything but '/'
  stars,          // **: any number of anything
  split,          // go on at a and at b
  jump,           // go on at a
  end,
};
struct Node {
  Op op;
  char byte;
  std::uint16_t a, b;
};

// A set's text -> is `c` in it? Well-formed already. Never '/'.
bool in_set(std::string_view set, char c) {
  const bool negated = set.front() == '^' || set.front() == '!';
  std::size_t i = negated ? 1 : 0;
  const auto next = [&] {
    if (set[i] == '\\') ++i;
    return static_cast<unsigned char>(set[i++]);
  };
  bool found = false;
  while (i < set.size()) {
    const unsigned char low = next();
    unsigned char high = low;
    if (i + 1 < set.size() && set[i] == '-') {
      ++i;
      high = next();
    }
    found = found || (static_cast<unsigned char>(c) >= low && static_cast<unsigned char>(c) <= high);
  }
  return found != negated;
}

class Program {
 public:
  // "" or what is wrong with the pattern.
  std::string_view compile(std::string_view pattern);
  [[nodiscard]] bool run(std::string_view text) const;

 private:
  struct Brace {
    std::uint16_t split;  // of the alternative being read
    std::uint16_t jumps;  // to the end, chained through Node::a
  };
  static constexpr std::uint16_t kNone = 0xffff;
  struct States {
    std::array<std::uint16_t, kMaxNodes> list;
    std::size_t count = 0;
    std::bitset<kMaxNodes> has;
    void clear() {
      while (count > 0) has.reset(list[--count]);
    }
  };

  std::uint16_t emit(Op op, char byte = 0, std::uint16_t a = 0, std::uint16_t b = 0) {
    nodes_[count_] = {op, byte, a, b};
    return count_++;
  }
  // Is the end of a path part, as far as the pattern tells, at `at`?
  [[nodiscard]] bool part_ends(std::size_t at) const {
    return at == pattern_.size() || (depth_ > 0 && (pattern_[at] == ',' || pattern_[at] == '}'));
  }
  [[nodiscard]] bool part_starts(std::size_t at) const {
    return at == 0 || pattern_[at - 1] == '/' || (depth_ > 0 && (pattern_[at - 1] == ',' || pattern_[at - 1] == '{'));
  }
  [[nodiscard]] bool reads(std::size_t at, std::string_view what) const {
    return pattern_.substr(at, what.size()) == what;
  }
  std::string_view read_set();
  std::string_view open_brace();
  void next_alternative();
  void close_brace();
  void read_stars();
  void add(States& states, std::uint16_t first) const;

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::array<Node, kMaxNodes> nodes_;
  std::uint16_t count_ = 0;
  std::array<Brace, kMaxDepth> braces_;
  int depth_ = 0;
};

std::string_view Program::read_set() {
  const std::size_t first = ++at_;
  if (at_ < pattern_.size() && (pattern_[at_] == '^' || pattern_[at_] == '!')) ++at_;
  const std::size_t members = at_;
  while (at_ < pattern_.size() && pattern_[at_] != ']') at_ += pattern_[at_] == '\\' ? 2 : 1;
  if (at_ >= pattern_.size()) return "[ without ]";
  if (at_ == members) return "[] with nothing in it";
  emit(Op::set, 0, static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(at_));
  ++at_;
  return {};
}

std::string_view Program::open_brace() {
  if (depth_ == kMaxDepth) return "braces nested too deep";
  const std::uint16_t split = emit(Op::split);
  nodes_[split].a = nodes_[split].b = count_;
  braces_[depth_++] = {split, kNone};
  ++at_;
  return {};
}

void Program::next_alternative() {
  Brace& brace = braces_[depth_ - 1];
  brace.jumps = emit(Op::jump, 0, brace.jumps);
  nodes_[brace.split].b = count_;
  brace.split = emit(Op::split);
  nodes_[brace.split].a = nodes_[brace.split].b = count_;
  ++at_;
}

void Program::close_brace() {
  std::uint16_t jump = braces_[--depth_].jumps;
  while (jump != kNone) {
    const std::uint16_t next = nodes_[jump].a;
    nodes_[jump].a = count_;
    jump = next;
  }
  ++at_;
}

void Program::read_stars() {
  std::size_t after = at_;
  while (after < pattern_.size() && pattern_[after] == '*') ++after;
  const bool whole_part = after - at_ == 2 && part_starts(at_);
  if (whole_part && reads(after, "/")) {  // "**/": nothing, or parts with their slashes
    const std::uint16_t split = emit(Op::split);
    emit(Op::stars);
    emit(Op::byte, '/');
    nodes_[split].a = static_cast<std::uint16_t>(split + 1);
    nodes_[split].b = count_;
    ++after;
  } else {
    emit(whole_part && part_ends(after) ? Op::stars : Op::stars_in_part);
  }
  at_ = after;
}

std::string_view Program::compile(std::string_view pattern) {
  if (pattern.empty()) return "an empty pattern";
  if (pattern.size() > kMaxPattern) return "longer than 1024 bytes";
  pattern_ = pattern;
  while (at_ < pattern.size()) {
    const char c = pattern[at_];
    std::string_view wrong;
    if (c == '/' && reads(at_ + 1, "**") && at_ > 0 && part_ends(at_ + 3)) {  // "a/**" is also "a"
      const std::uint16_t split = emit(Op::split);
      emit(Op::byte, '/');
      emit(Op::stars);
      nodes_[split].a = static_cast<std::uint16_t>(split + 1);
      nodes_[split].b = count_;
      at_ += 3;
    } else if (c == '*') {
      read_stars();
    } else if (c == '?') {
      emit(Op::any_in_part);
      ++at_;
    } else if (c == '[') {
      wrong = read_set();
    } else if (c == '{') {
      wrong = open_brace();
    } else if (c == ',' && depth_ > 0) {
      next_alternative();
    } else if (c == '}') {
      if (depth_ == 0) return "} without {";
      close_brace();
    } else {
      if (c == '\\' && ++at_ == pattern.size()) return "ends with a backslash";
      emit(Op::byte, pattern[at_++]);
    }
    if (!wrong.empty()) return wrong;
  }
  if (depth_ > 0) return "{ without }";
  emit(Op::end);
  return {};
}

// Adds `first` and what it leads to without reading a byte. Every node enters a set once: linear in the pattern.
void Program::add(States& states, std::uint16_t first) const {
  std::size_t unread = states.count;
  const auto enter = [&states](std::uint16_t node) {
    if (states.has.test(node)) return;
    states.has.set(node);
    states.list[states.count++] = node;
  };
  enter(first);
  for (; unread < states.count; ++unread) {
    const std::uint16_t at = states.list[unread];
    const Node& node = nodes_[at];
    if (node.op == Op::split || node.op == Op::jump) enter(node.a);
    if (node.op == Op::split) enter(node.b);
    if (node.op == Op::stars || node.op == Op::stars_in_part) enter(static_cast<std::uint16_t>(at + 1));
  }
}

bool Program::run(std::string_view text) const {
  std::array<States, 2> sets;
  add(sets[0], 0);
  for (std::size_t read = 0; read < text.size(); ++read) {
    const char c = text[read];
    const States& now = sets[read % 2];
    States& then = sets[(read + 1) % 2];
    then.clear();
    for (std::size_t i = 0; i < now.count; ++i) {
      const std::uint16_t at = now.list[i];
      const Node& node = nodes_[at];
      const auto next = static_cast<std::uint16_t>(at + 1);
      switch (node.op) {
        case Op::byte:
          if (c == node.byte) add(then, next);
          break;
        case Op::any_in_part:
          if (c != '/') add(then, next);
          break;
        case Op::set:
          if (c != '/' && in_set(pattern_.substr(node.a, node.b - node.a), c)) add(then, next);
          break;
        case Op::stars_in_part:
          if (c != '/') add(then, at);
          break;
        case Op::stars: add(then, at); break;
        case Op::split:
        case Op::jump:
        case Op::end: break;
      }
    }
    if (then.count == 0) return false;
  }
  return sets[text.size() % 2].has.test(static_cast<std::size_t>(count_ - 1));
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
  if (pattern == "**") return true;
  const bool plain = pattern.find_first_of("*?[]{}\\") == std::string_view::npos;
  if (plain) return !pattern.empty() && pattern.size() <= kMaxPattern && pattern == text;
  Program program;
  return program.compile(pattern).empty() && program.run(text);
}

base::Result<void> check_pattern(std::string_view pattern) {
  Program program;
  const std::string_view wrong = program.compile(pattern);
  if (wrong.empty()) return {};
  return base::Error(base::ErrorKind::invalid, base::format("bad pattern '{}': {}", pattern.substr(0, 100), wrong));
}

}  // namespace shoal::registry
