// Auth: who a client is, and what it may do. decide() is pure; passwords are checked on the pool. DESIGN section 11.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/base/result.h"
#include "shoal/registry/pattern.h"

namespace shoal::auth {

using registry::check_pattern;
using registry::matches;

enum class Action : std::uint8_t { pull, push, remove };
[[nodiscard]] std::string_view to_string(Action action);

struct Identity {
  std::string user;  // "" is anonymous
  [[nodiscard]] bool anonymous() const { return user.empty(); }
};

// Allows; there is no rule that forbids. `repositories`: patterns (registry::matches) over canonical names
// ("docker.io/library/*", "team/**", "**"). `users`: names, "*" for everyone who is logged in, "anonymous" for
// everyone.
struct Rule {
  std::vector<std::string> repositories;
  std::vector<std::string> users;
  std::vector<Action> actions;
};

struct Policy {
  bool enabled = false;  // false: everything is allowed to everyone
  std::vector<Rule> rules;
};

enum class Verdict : std::uint8_t { allow, log_in, deny };  // log_in: anonymous, and some user might be allowed: 401
[[nodiscard]] Verdict decide(const Policy& policy, const Identity& who, std::string_view repository, Action action);
// May an anonymous client do anything at all that a logged-in one may not? Then GET /v2/ asks for credentials (clients
// learn how to log in there, and nowhere else).
[[nodiscard]] bool asks_for_login(const Policy& policy);

// user:bcrypt lines; comments and empty lines are skipped. Anything but $2a$, $2b$, $2y$ is an error that says the
// line. Never holds or prints a password.
class Htpasswd {
 public:
  [[nodiscard]] static base::Result<Htpasswd> parse(std::string_view text);
  // Costs what bcrypt costs, for unknown users too: pool only.
  [[nodiscard]] bool verify(const std::string& user, const std::string& password) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool has(std::string_view user) const;

 private:
  struct Entry {
    std::string user, hash;
  };
  std::vector<Entry> entries_;  // by user
};

// For an htpasswd line: "$2y$..." with a fresh salt. Takes as long as a check. 72 bytes at most, which is all that
// bcrypt reads.
[[nodiscard]] base::Result<std::string> hash_password(const std::string& password, int cost = 10);

struct AuthenticatorOptions {
  std::chrono::seconds remember{300};          // a checked password is good for so long without bcrypt
  std::chrono::seconds remember_failures{60};  // a wrong one is wrong for so long without bcrypt
  std::size_t max_remembered = 10'000;         // of each
  std::size_t max_waiting = 256;               // password checks at once; beyond: ErrorKind::busy (503)
  std::size_t max_waiting_per_source = 32;     // of those, for one source; beyond: ErrorKind::full (429)
  std::size_t max_failures_per_minute = 60;    // of one source; beyond: ErrorKind::full (429); 0: no limit
  std::size_t max_running = 2;                 // checks on the pool: its other threads are for the disk
};

// From an Authorization header to an identity. One for the process; any thread.
class Authenticator {
 public:
  using Done = base::UniqueFunction<void(base::Result<Identity>)>;
  Authenticator(base::Executor& pool, base::Clock& clock, AuthenticatorOptions options);
  ~Authenticator();
  void set_users(std::shared_ptr<const Htpasswd> users);  // also forgets what was remembered
  void set_options(const AuthenticatorOptions& options);  // for checks to come
  // What can be told at once: no header (and `Basic :`, which some clients send without credentials) is anonymous;
  // remembered credentials. nullptr: authenticate() has to look.
  [[nodiscard]] std::unique_ptr<Identity> try_authenticate(std::string_view authorization) const;
  // `ip`: of the client, whose share of the checks this is. `done` once, later, on `loop`. ErrorKind::denied: wrong
  // user or password (the message does not say which); invalid: not a Basic header; busy: too many wait; full: too many
  // from that address wait, or were wrong.
  void authenticate(std::string authorization, std::string_view ip, base::Loop& loop, Done done);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with checks that run on the pool
};

}  // namespace shoal::auth
