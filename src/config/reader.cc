#include "shoal/config/reader.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "shoal/base/error.h"
#include "shoal/base/format.h"
#include "state.h"
#include "yaml.h"

namespace shoal::config {
namespace {

std::optional<std::string> read_file(const std::string& path, std::vector<Problem>& problems) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) {
    // One byte past the limit, so that parse_yaml refuses it.
    text.resize(detail::kMaxFileBytes + 1);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
  }
  if (!in.is_open() || in.bad()) {
    problems.push_back({path, "", base::from_errno(errno, "open").message()});
    return std::nullopt;
  }
  return text;
}

void take_overrides(detail::State& state, const Sources& sources) {
  const std::string& flag = state.name("--set");
  for (const std::string& set : sources.sets) {
    const std::size_t equals = set.find('=');
    if (equals == 0 || equals == std::string::npos) {
      state.report.errors.push_back({flag, "", "must be key=value, as in storage.path=/srv/shoal"});
      continue;
    }
    state.sets[set.substr(0, equals)] = {set.substr(equals + 1), &flag, false};
  }
  for (const auto& [variable, value] : sources.environment) {
    if (variable.starts_with("SHOAL_")) state.environment[variable] = {value, &state.name(variable), false};
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::string to_string(const Problem& problem) {
  std::string out = problem.where;
  for (const std::string* part : {&problem.key, &problem.what}) {
    if (part->empty()) continue;
    if (!out.empty()) out += ": ";
    out += *part;
  }
  return out;
}

Reader::Reader(Sources sources) : state_(std::make_unique<detail::State>()) {
  const std::string& name = state_->name(sources.file);
  take_overrides(*state_, sources);
  if (name.empty()) return;
  if (const auto text = read_file(name, state_->report.errors)) {
    if (auto root = detail::parse_yaml(*text, name, state_->report.errors)) state_->root = std::move(*root);
  }
}

Reader::Reader(Sources sources, std::string_view text) : state_(std::make_unique<detail::State>()) {
  const std::string& name = state_->name(sources.file);
  take_overrides(*state_, sources);
  if (auto root = detail::parse_yaml(text, name, state_->report.errors)) state_->root = std::move(*root);
}

Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Section Reader::root() {
  using Kind = detail::Node::Kind;
  const detail::Node& root = state_->root;
  const bool first = !state_->opened.contains("");
  if (first && root.kind != Kind::map && root.kind != Kind::null) {
    state_->report.errors.push_back({root.where(), "", "must be a map of keys to values"});
  }
  const detail::Node* map = root.kind == Kind::map ? &root : nullptr;
  state_->opened[""].node = map;
  return Section(*state_, "", map);
}

const Report& Reader::finish() {
  state_->report_unknown_keys();
  state_->report_unused_overrides();
  state_->sort_problems();
  return state_->report;
}

}  // namespace shoal::config
