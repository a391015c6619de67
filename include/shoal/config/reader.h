// Reader: configuration from one YAML file, the environment and flags, read by whoever knows the keys.
//
// There is no schema to keep in step: asking for a key declares it. Getters never fail; they note the problem, return
// the default and go on, so that finish() tells every mistake at once: wrong values, keys nobody asked for, SHOAL_*
// variables that mean nothing.
//
//   config::Reader reader({.file = "conf/shoal.yml", .environment = ..., .sets = {"storage.max_size=10GiB"}});
//   config::Section storage = reader.root().section("storage");
//   options.path = storage.string("path", options.path);
//   options.max_size = storage.size("max_size", options.max_size);
//   if (options.path.empty()) storage.fail("path", "must name a directory");
//   for (auto& [name, upstream] : reader.root().section("upstreams").sections()) ...
//   const config::Report& report = reader.finish();
//
// A flag beats the environment, which beats the file. storage.path is SHOAL_STORAGE_PATH and --set storage.path=/x;
// other characters than letters and digits become "_". An empty variable counts as not set, with a warning. In both, a
// list is "a,b" or "[a, b]", a map is "{k: v}".
//
// One thread. Sections are small handles and die before their Reader. Reading the file blocks: not on an event loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/config/value.h"

namespace shoal::config {

struct Sources {
  std::string file;                                                // "" for none; problems show it as it stands here
  std::vector<std::pair<std::string, std::string>> environment{};  // only SHOAL_* are looked at
  std::vector<std::string> sets{};                                 // "a.b=c", later ones win
};

// environ as pairs.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> process_environment();

struct Problem {
  std::string where;  // "conf/shoal.yml:12", "SHOAL_STORAGE_PATH", "--set"
  std::string key;    // "storage.max_sise", or ""
  std::string what;   // "unknown key (did you mean max_size?)"
};
[[nodiscard]] std::string to_string(const Problem& problem);  // "conf/shoal.yml:12: storage.max_sise: unknown key ..."

// One value that was asked for: what it is and where it comes from ("default", or as Problem::where).
struct Setting {
  std::string key;
  std::string value;
  std::string where;
};

struct Report {
  std::vector<Problem> errors;
  std::vector<Problem> warnings;
  std::vector<Setting> settings;
  [[nodiscard]] bool ok() const { return errors.empty(); }
};

template <class T>
struct Bounds {
  T min;
  T max;
};

namespace detail {
struct State;
struct Node;
}  // namespace detail

class Section {
 public:
  // A map below this one. Absent or without a value: an empty one, whose getters give their defaults.
  [[nodiscard]] Section section(std::string_view key);
  // Every entry of this section as a section, in file order: the upstreams of "upstreams". Its keys are free.
  [[nodiscard]] std::vector<std::pair<std::string, Section>> sections();
  // A list of maps: the rules of "auth.rules", as "auth.rules.0" and so on. A map of maps will do as well; its keys are
  // free names.
  [[nodiscard]] std::vector<Section> items(std::string_view key);
  // Every entry of this section as a string: "hosts". Its keys are free.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> strings();

  [[nodiscard]] std::string string(std::string_view key, std::string_view otherwise);
  [[nodiscard]] bool boolean(std::string_view key, bool otherwise);
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t otherwise, Bounds<std::int64_t> bounds);
  [[nodiscard]] std::uint64_t size(std::string_view key, std::uint64_t otherwise,
                                   Bounds<std::uint64_t> bounds = {0, std::numeric_limits<std::int64_t>::max()});
  [[nodiscard]] std::chrono::milliseconds duration(std::string_view key, std::chrono::milliseconds otherwise,
                                                   Bounds<std::chrono::milliseconds> bounds = {
                                                       std::chrono::milliseconds(0), std::chrono::hours(24 * 36500)});
  [[nodiscard]] unsigned percent(std::string_view key, unsigned otherwise);
  // A scalar is a list of one.
  [[nodiscard]] std::vector<std::string> list(std::string_view key, std::vector<std::string> otherwise);
  // One of a few words.
  template <class T>
  [[nodiscard]] T choice(std::string_view key, T otherwise,
                         std::initializer_list<std::pair<std::string_view, T>> words) {
    std::vector<std::string_view> names;
    std::size_t fallback = 0;
    for (const auto& [name, value] : words) {
      if (value == otherwise) fallback = names.size();
      names.push_back(name);
    }
    return (words.begin() + choice_index(key, fallback, names))->second;
  }

  [[nodiscard]] bool has(std::string_view key);                    // somebody set it; declares it too
  [[nodiscard]] bool is_null(std::string_view key);                // "key:" with nothing behind it
  [[nodiscard]] std::string where(std::string_view key) const;     // "conf/shoal.yml:12", ..., or "default"
  [[nodiscard]] const std::string& path() const { return path_; }  // "storage", "" for the root

  // A problem only the caller can see; `key` "" means the section itself. The message must not hold a secret.
  void fail(std::string_view key, std::string what);
  void warn(std::string_view key, std::string what);

 private:
  friend class Reader;
  Section(detail::State& state, std::string path, const detail::Node* node)
      : state_(&state), path_(std::move(path)), node_(node) {}
  [[nodiscard]] std::size_t choice_index(std::string_view key, std::size_t otherwise,
                                         const std::vector<std::string_view>& words);

  detail::State* state_;
  std::string path_;
  const detail::Node* node_;  // a map, or null
};

class Reader {
 public:
  explicit Reader(Sources sources);
  // `text` instead of a file; `sources.file` is only its name.
  Reader(Sources sources, std::string_view text);
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  [[nodiscard]] Section root();
  // After everything was asked for. Adds the unknown keys and variables; in file order. Call once.
  [[nodiscard]] const Report& finish();

 private:
  std::unique_ptr<detail::State> state_;
};

}  // namespace shoal::config
