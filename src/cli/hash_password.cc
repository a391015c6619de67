#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>

#include "command.h"
#include "shoal/auth/auth.h"

namespace shoal::cli {
namespace {

struct HashFlags {
  std::string user;
  int cost = 10;
};

// The terminal shows nothing of what is typed while this lives.
class Silence {
 public:
  Silence() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    auto quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
  }
  ~Silence() {
    if (changed_) (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);  // best effort: nothing else can be done
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

std::optional<std::string> read_line() {
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::optional<std::string> ask_twice() {
  const Silence silence;
  const auto ask = [](const char* prompt) {
    std::fputs(prompt, stderr);
    auto line = read_line();
    std::fputc('\n', stderr);
    return line;
  };
  auto password = ask("Password: ");
  if (!password) {
    std::fputs("shoal: no password\n", stderr);
    return std::nullopt;
  }
  if (ask("Again: ") == password) return password;
  std::fputs("shoal: these are two different passwords\n", stderr);
  return std::nullopt;
}

int hash(const HashFlags& flags) {
  const bool bad = std::any_of(flags.user.begin(), flags.user.end(),
                               [](char c) { return c == ':' || static_cast<unsigned char>(c) < 0x21; });
  if (bad || flags.user == "*" || flags.user == "anonymous") {
    std::fputs("shoal: a user name has no colon, no blanks, and is neither * nor anonymous\n", stderr);
    return kWrongUse;
  }
  const bool asks = ::isatty(STDIN_FILENO) == 1;
  const auto password = asks ? ask_twice() : read_line();
  if (!password && !asks) std::fputs("shoal: there is no password on standard input\n", stderr);
  if (!password) return kFailed;  // said already
  const auto made = auth::hash_password(*password, flags.cost);
  if (!made) {
    std::fprintf(stderr, "shoal: %s\n", made.error().message().c_str());
    return kFailed;
  }
  std::printf("%s%s%s\n", flags.user.c_str(), flags.user.empty() ? "" : ":", made->c_str());
  return kFine;
}

}  // namespace

void add_hash_password(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("hash-password", "Prints a line for auth.htpasswd; asks for the password");
  command->footer(
      "Example:\n  shoal hash-password ann >> /etc/shoal/htpasswd\n"
      "  head -c 18 /dev/urandom | base64 | tee ci.pass | shoal hash-password ci >> /etc/shoal/htpasswd\n\n"
      "From a terminal it is asked for twice; else it is the first line of the input.");
  auto flags = std::make_shared<HashFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("user", flags->user, "The user's name; without it, only the hash is printed");
  command->add_option("--cost", flags->cost, "bcrypt cost; each step doubles the time of a login")
      ->check(CLI::Range(4, 16))
      ->capture_default_str();
  command->callback([flags, &run] { run = [flags] { return hash(*flags); }; });
}

}  // namespace shoal::cli
