// Error: what went wrong, as a value. Copied freely; any thread.
//
// The kind says what the receiver should do about it; the message says subject, operation, cause and is built up
// as the error rises ("pull docker.io/library/nginx:1 from docker.io: connect 10.0.0.1:443: connection refused").
// Messages never hold secrets: whoever makes one leaves credentials and URL queries out.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::base {

enum class ErrorKind {
  not_found,  // it does not exist (upstream said so, or we know)
  denied,     // the caller may not have it
  invalid,    // the input is wrong; asking again will not help
  busy,       // asking again later may help (rate limit, queue full); see retry_after
  gone,       // this source failed (refused, reset, 5xx); another one, or later, may work
  timeout,    // this source was too slow; treat as gone
  corrupt,    // the bytes are not what their digest, size or syntax says
  full,       // no room left (disk, index, limit)
  cancelled,  // stopped on our side
  bug,        // an invariant of ours does not hold
};

[[nodiscard]] std::string_view to_string(ErrorKind kind);

class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  // The same error seen from one level up: "operation subject: message".
  [[nodiscard]] Error at(std::string_view operation, std::string_view subject = {}) const;
  [[nodiscard]] Error retry_after(std::chrono::seconds wait) const;

  [[nodiscard]] ErrorKind kind() const { return kind_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] std::optional<std::chrono::seconds> retry_after() const { return retry_after_; }

 private:
  ErrorKind kind_;
  std::string message_;
  std::optional<std::chrono::seconds> retry_after_;
};

// An error from errno: ENOENT is not_found, EACCES and EPERM denied, ENOSPC and EDQUOT full, others gone.
[[nodiscard]] Error from_errno(int error, std::string_view operation, std::string_view subject = {});

}  // namespace shoal::base
