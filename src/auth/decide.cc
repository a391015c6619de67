#include <algorithm>

#include "shoal/auth/auth.h"

namespace shoal::auth {
namespace {

bool names(const Rule& rule, std::string_view user) {
  return std::find(rule.users.begin(), rule.users.end(), user) != rule.users.end();
}

bool covers(const Rule& rule, std::string_view repository, Action action) {
  return std::find(rule.actions.begin(), rule.actions.end(), action) != rule.actions.end() &&
         std::any_of(rule.repositories.begin(), rule.repositories.end(),
                     [repository](const std::string& pattern) { return matches(pattern, repository); });
}

}  // namespace

std::string_view to_string(Action action) {
  switch (action) {
    case Action::pull: return "pull";
    case Action::push: return "push";
    case Action::remove: return "delete";
  }
  return "?";
}

Verdict decide(const Policy& policy, const Identity& who, std::string_view repository, Action action) {
  if (!policy.enabled) return Verdict::allow;
  bool somebody_may = false;
  for (const auto& rule : policy.rules) {
    if (rule.users.empty()) continue;
    const bool is_meant = names(rule, "anonymous") || (!who.anonymous() && (names(rule, "*") || names(rule, who.user)));
    if (!is_meant && (!who.anonymous() || somebody_may)) continue;
    if (!covers(rule, repository, action)) continue;
    if (is_meant) return Verdict::allow;
    somebody_may = true;
  }
  return somebody_may ? Verdict::log_in : Verdict::deny;
}

bool asks_for_login(const Policy& policy) {
  return policy.enabled && std::any_of(policy.rules.begin(), policy.rules.end(), [](const Rule& rule) {
           return !rule.users.empty() && !rule.actions.empty() && !rule.repositories.empty() &&
                  !names(rule, "anonymous");
         });
}

}  // namespace shoal::auth
