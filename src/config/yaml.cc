#include "yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "shoal/base/format.h"

namespace shoal::config::detail {
namespace {

struct Refused {  // thrown through yaml-cpp's parser, which has no other way to stop
  int line;
  std::string what;
};

class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& source, std::vector<Problem>& problems) : source_(source), problems_(problems) {}
  [[nodiscard]] Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(make(Node::Kind::null, mark), anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) throw Refused{mark.line + 1, "an alias of something that is not complete yet"};
    count(it->second.nodes, mark);
    if (open_.size() + it->second.depth > kMaxDepth) throw Refused{mark.line + 1, too_deep()};
    if (!open_.empty()) open_.back().depth = std::max(open_.back().depth, it->second.depth + 1);
    add(it->second.node, 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string& value) override {
    Node node = make(Node::Kind::scalar, mark);
    node.text = value;
    add(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor;
    std::optional<Entry> pending;  // the key whose value comes next
    bool duplicate = false;
    std::size_t nodes_before;
    std::size_t depth = 1;  // of what is inside, itself included
  };
  struct Anchored {
    Node node;
    std::size_t nodes;
    std::size_t depth;
  };

  static std::string too_deep() { return base::format("nested deeper than {} levels", kMaxDepth); }

  Node make(Node::Kind kind, const YAML::Mark& mark) {
    count(1, mark);
    Node node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.source = &source_;
    return node;
  }

  void count(std::size_t nodes, const YAML::Mark& mark) {
    nodes_ += nodes;
    if (nodes_ > kMaxNodes) throw Refused{mark.line + 1, base::format("more than {} values", kMaxNodes)};
  }

  void open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kMaxDepth) throw Refused{mark.line + 1, too_deep()};
    const std::size_t before = nodes_;
    open_.push_back({make(kind, mark), anchor, std::nullopt, false, before});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    if (done.node.kind == Node::Kind::map) merge(done.node);
    if (!open_.empty()) open_.back().depth = std::max(open_.back().depth, done.depth + 1);
    const YAML::anchor_t anchor = done.anchor;
    if (anchor != 0) anchors_[anchor] = {done.node, nodes_ - done.nodes_before, done.depth};
    add(std::move(done.node), 0);
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = {node, 1, 0};
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == Node::Kind::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.pending) {
      if (node.kind != Node::Kind::scalar) throw Refused{node.line, "a key must be plain text"};
      if (parent.node.entries.size() >= kMaxKeys) {
        throw Refused{node.line, base::format("more than {} keys in one map", kMaxKeys)};
      }
      parent.pending = Entry{node.text, node.line, {}};
      const Entry* first = parent.node.find(node.text);
      parent.duplicate = first != nullptr;
      if (first != nullptr) {
        problems_.push_back({node.where(), path(), base::format("given twice; the first is on line {}", first->line)});
      }
    } else {
      if (node.kind == Node::Kind::null) node.line = parent.pending->line;  // yaml-cpp gives the next token's
      parent.pending->value = std::move(node);
      if (!parent.duplicate) parent.node.entries.push_back(std::move(*parent.pending));
      parent.pending.reset();
    }
  }

  // Of the key that was just read.
  [[nodiscard]] std::string path() const {
    std::string out;
    for (const Open& level : open_) {
      if (level.pending) out += (out.empty() ? "" : ".") + level.pending->key;
    }
    return out;
  }

  // "<<: *defaults": entries the map does not have itself.
  void merge(Node& map) {
    const auto it =
        std::find_if(map.entries.begin(), map.entries.end(), [](const Entry& entry) { return entry.key == "<<"; });
    if (it == map.entries.end()) return;
    Node from = std::move(it->value);
    map.entries.erase(it);
    std::vector<Node> sources;
    if (from.kind == Node::Kind::list) {
      sources = std::move(from.items);
    } else {
      sources.push_back(std::move(from));
    }
    for (Node& source : sources) {
      if (source.kind != Node::Kind::map) throw Refused{source.line, "<< needs a map"};
      for (Entry& entry : source.entries) {
        if (map.find(entry.key) == nullptr) map.entries.push_back(std::move(entry));
      }
    }
  }

  const std::string& source_;
  std::vector<Problem>& problems_;
  Node root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
};

std::string at_line(const std::string& source, int line) {
  return line > 0 ? base::format("{}:{}", source, line) : source;
}

}  // namespace

const Entry* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string Node::where() const { return source == nullptr ? "default" : at_line(*source, line); }

std::optional<Node> parse_yaml(std::string_view text, const std::string& source, std::vector<Problem>& problems) {
  if (text.size() > kMaxFileBytes) {
    problems.push_back({source, "", base::format("larger than {} bytes", kMaxFileBytes)});
    return std::nullopt;
  }
  if (text.find('\0') != std::string_view::npos) {
    problems.push_back({source, "", "not a text: it has a zero byte"});
    return std::nullopt;
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(source, problems);
    const bool any = parser.HandleNextDocument(builder);
    Node root = builder.take();
    if (!any) {  // an empty file is all defaults
      root.line = 1;
      root.source = &source;
      return root;
    }
    Builder second(source, problems);
    if (parser.HandleNextDocument(second)) {
      problems.push_back({source, "", "holds more than one document"});
      return std::nullopt;
    }
    return root;
  } catch (const Refused& refused) {
    problems.push_back({at_line(source, refused.line), "", refused.what});
  } catch (const YAML::Exception& error) {
    problems.push_back({at_line(source, error.mark.line + 1), "", "not YAML: " + error.msg});
  } catch (const std::exception& error) {
    problems.push_back({source, "", std::string("cannot be read: ") + error.what()});
  }
  return std::nullopt;
}

}  // namespace shoal::config::detail
