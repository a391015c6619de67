// auth: users from an htpasswd file, rights from rules.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"
#include "translate.h"

namespace shoal::app {
namespace {

constexpr std::size_t kMaxFile = 16 << 20;

base::Result<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) return base::from_errno(errno, "open", path);
  std::string text;
  char chunk[16384];
  while (const auto got = std::fread(chunk, 1, sizeof chunk, file.get())) {
    text.append(chunk, got);
    if (text.size() > kMaxFile) return base::Error(base::ErrorKind::invalid, path + " is larger than 16 MiB");
  }
  if (std::ferror(file.get()) != 0) return base::from_errno(errno, "read", path);
  return text;
}

void read_users(config::Section& section, AuthSettings& auth) {
  const auto text = read_file(auth.htpasswd);
  if (!text) return section.fail("htpasswd", text.error().message());
  auto users = auth::Htpasswd::parse(*text);
  if (!users) return section.fail("htpasswd", base::format("{}: {}", auth.htpasswd, users.error().message()));
  if (users->size() == 0) section.warn("htpasswd", auth.htpasswd + " has no users: nobody can log in");
  auth.users_digest = base::digest_of(*text);
  auth.users = std::make_shared<const auth::Htpasswd>(std::move(*users));
  struct stat about {};
  if (::stat(auth.htpasswd.c_str(), &about) == 0 && (about.st_mode & S_IROTH) != 0) {
    section.warn("htpasswd", base::format("everyone on this machine can read {}: chmod o-r", auth.htpasswd));
  }
}

auth::Rule read_rule(config::Section section, const AuthSettings& auth) {
  auth::Rule rule;
  rule.repositories = section.list("repositories", {"**"});
  rule.users = section.list("users", {"*"});
  const bool for_everyone = std::find(rule.users.begin(), rule.users.end(), "anonymous") != rule.users.end();
  const auto everything = std::vector<std::string>{"pull", "push", "delete"};
  const auto actions = section.list("actions", for_everyone ? std::vector<std::string>{"pull"} : everything);
  if (rule.repositories.empty()) section.fail("repositories", "names none");
  if (rule.users.empty()) section.fail("users", "names nobody; \"*\" is everyone who is logged in");
  if (actions.empty()) section.fail("actions", "names none");
  for (const auto& pattern : rule.repositories) {
    if (const auto checked = registry::check_pattern(pattern); !checked) {
      section.fail("repositories", checked.error().message());
    }
  }
  for (const auto& user : rule.users) {
    if (user.empty()) section.fail("users", "a name is empty; everyone is \"anonymous\"");
    if (auth.users && user != "*" && user != "anonymous" && !auth.users->has(user)) {
      section.warn("users", base::format("{} is not in {}", user, auth.htpasswd));
    }
  }
  for (const auto& name : actions) {
    constexpr auth::Action kActions[] = {auth::Action::pull, auth::Action::push, auth::Action::remove};
    const auto* action = std::find_if(std::begin(kActions), std::end(kActions),
                                      [&name](auth::Action known) { return to_string(known) == name; });
    if (action == std::end(kActions)) {
      section.fail("actions", base::format("\"{}\" is none of pull, push, delete", name.substr(0, 40)));
    } else {
      rule.actions.push_back(*action);
    }
  }
  return rule;
}

auth::AuthenticatorOptions read_logins(config::Section section) {
  auth::AuthenticatorOptions logins;
  const auto seconds = [&section](const char* key, std::chrono::seconds otherwise) {
    return std::chrono::ceil<std::chrono::seconds>(
        section.duration(key, otherwise, {std::chrono::milliseconds(0), std::chrono::hours(24)}));
  };
  const auto number = [&section](const char* key, std::size_t otherwise, std::int64_t min) {
    return static_cast<std::size_t>(section.integer(key, static_cast<std::int64_t>(otherwise), {min, 100'000}));
  };
  logins.remember = seconds("remember", logins.remember);
  logins.remember_failures = seconds("remember_failures", logins.remember_failures);
  logins.max_waiting = number("waiting", logins.max_waiting, 1);
  logins.max_waiting_per_source = number("waiting_per_address", logins.max_waiting_per_source, 1);
  logins.max_failures_per_minute = number("failures_per_minute", logins.max_failures_per_minute, 0);
  return logins;
}

bool is_realm(std::string_view realm) {
  return !realm.empty() && realm.size() <= 128 &&
         std::all_of(realm.begin(), realm.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

}  // namespace

AuthSettings read_auth(config::Section section, bool read_secrets) {
  AuthSettings auth;
  auth.htpasswd = section.string("htpasswd", "");
  auth.access.realm = section.string("realm", "shoal");
  auth.access.allow_plaintext = section.boolean("allow_plaintext", false);
  if (!is_realm(auth.access.realm)) section.fail("realm", "must be 1 to 128 plain characters without \" and \\");
  auth.logins = read_logins(section.section("logins"));
  auto& policy = auth.access.policy;
  policy.enabled = !auth.htpasswd.empty();
  if (policy.enabled && read_secrets) read_users(section, auth);
  for (auto& rule : section.items("rules")) policy.rules.push_back(read_rule(rule, auth));
  if (!policy.enabled && !policy.rules.empty()) {
    section.fail("rules", "need auth.htpasswd: without it nobody is asked, and everybody may do everything");
  }
  if (policy.enabled && policy.rules.empty()) {
    policy.rules.push_back({{"**"}, {"*"}, {auth::Action::pull, auth::Action::push, auth::Action::remove}});
  }
  return auth;
}

}  // namespace shoal::app
