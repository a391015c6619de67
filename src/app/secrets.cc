#include "secrets.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "shoal/base/byte_source.h"
#include "shoal/base/format.h"

namespace shoal::app {
namespace {

using base::Error;
using base::ErrorKind;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kMaxSecret = 64 * 1024;

base::Result<std::string> checked(std::string secret) {
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return Error(ErrorKind::invalid, "is empty");
  if (secret.size() > kMaxSecret) return Error(ErrorKind::invalid, "is longer than 64 KiB");
  // It becomes part of a header.
  if (std::any_of(secret.begin(), secret.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return Error(ErrorKind::invalid, "holds a line break or another control byte");
  }
  return secret;
}

// Up to the end or one byte more than a secret may have. `deadline` is for pipes; files are always ready.
base::Result<std::string> read_all(int fd, Steady::time_point deadline) {
  std::string bytes;
  char chunk[4096];
  while (bytes.size() <= kMaxSecret + 2) {
    pollfd ready{fd, POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now()).count();
    if (left <= 0) return Error(ErrorKind::timeout, "took too long");
    const int events = ::poll(&ready, 1, static_cast<int>(left));
    if (events < 0 && errno != EINTR) return base::from_errno(errno, "poll");
    if (events <= 0) continue;
    const auto got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::from_errno(errno, "read");
    if (got == 0) break;
    bytes.append(chunk, static_cast<std::size_t>(got));
  }
  return bytes;
}

// Starts `command` in a process group of its own with its output in `out`. Signals are as a shell expects them: ours
// are blocked for the signal thread.
base::Result<pid_t> spawn_shell(const std::string& command, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, standard;
  sigemptyset(&none);
  sigfillset(&standard);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &standard);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string shell = "sh", flag = "-c", text = command;
  char* const arguments[] = {shell.data(), flag.data(), text.data(), nullptr};
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return base::from_errno(failed, "start", "/bin/sh");
  return pid;
}

// Its exit status; killed with its children when it has not ended by then.
int wait_or_kill(pid_t pid, Steady::time_point deadline) {
  int status = 0;
  for (;;) {
    const auto ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid || (ended < 0 && errno != EINTR)) return status;
    if (Steady::now() >= deadline) break;
    ::poll(nullptr, 0, 10);
  }
  (void)::kill(-pid, SIGKILL);  // best effort: it may just have ended
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

base::Result<std::string> secret_from_file(const std::string& path) {
  const base::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0) return base::from_errno(errno, "open", path);
  auto bytes = read_all(file.fd(), Steady::now() + std::chrono::seconds(10));
  if (!bytes) return bytes.error().at("read", path);
  auto secret = checked(std::move(*bytes));
  return secret ? std::move(secret) : secret.error().at(path);
}

base::Result<std::string> secret_from_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return Error(ErrorKind::not_found, "the environment variable " + name + " is not set");
  auto secret = checked(value);
  return secret ? std::move(secret) : secret.error().at("the environment variable", name);
}

base::Result<std::string> secret_from_command(const std::string& command, std::chrono::milliseconds timeout) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::from_errno(errno, "pipe");
  const base::File out(ends[0]);
  auto in = std::make_unique<base::File>(ends[1]);
  const auto pid = spawn_shell(command, in->fd());
  in.reset();  // or the end of the output would never come
  if (!pid) return pid.error();
  const auto deadline = Steady::now() + timeout;
  auto bytes = read_all(out.fd(), deadline);
  const bool whole = bytes.ok() && bytes->size() <= kMaxSecret + 2;
  const int status = wait_or_kill(*pid, whole ? deadline : Steady::now());
  if (!bytes) return bytes.error().at("the command");
  if (!whole) return Error(ErrorKind::full, "the command's output is longer than 64 KiB");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Error(ErrorKind::gone, WIFEXITED(status) ? base::format("the command ended with {}", WEXITSTATUS(status))
                                                    : "the command was killed");
  }
  auto secret = checked(std::move(*bytes));
  return secret ? std::move(secret) : secret.error().at("the command's output");
}

}  // namespace shoal::app
