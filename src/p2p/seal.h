// Seal: how nodes of a site prove to each other that they know its secret, without TLS. HMAC-SHA-256 (RFC 2104) over
// what is said, when, and to whom; the secret never travels.
//
//   request:  Shoal-Seal: v1 <node id> <unix time, ms> <nonce, 32 hex> <hmac, 64 hex>
//             hmac over "v1\nrequest\n<method>\n<target>\n<node id>\n<time>\n<nonce>\n<sha256 of the body, hex>"
//   answer:   Shoal-Seal: v1 <hmac, 64 hex>
//             hmac over "v1\nanswer\n<nonce of the request>\n<status>\n<sha256 of the body, hex>"
//             ("body": what call.h says is sealed of an answer)
//
// A request is good if its hmac is, its time is within `window` of ours, and its nonce was not seen in that window (a
// bounded memory: when it is full, the oldest go). Comparisons take constant time. Thread-safe.
// "To whom" is as good as `target` says it: a path alone is good at any node of the site, so pass host and path.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "shoal/base/clock.h"
#include "shoal/base/result.h"

namespace shoal::p2p {

struct SealOptions {
  std::chrono::seconds window{120};
  std::size_t max_nonces = 262'144;
};

struct SealedRequest {
  std::string value;  // of the header
  std::string nonce;  // to check the answer's seal with
};

class Seal {
 public:
  // `secret`: at least 16 bytes, else ErrorKind::invalid.
  [[nodiscard]] static base::Result<std::unique_ptr<Seal>> make(std::string secret, SealOptions options = {});
  ~Seal();

  [[nodiscard]] SealedRequest request(std::string_view method, std::string_view target, std::string_view node,
                                      std::string_view body, base::WallTime now) const;
  struct Caller {
    std::string node;
    std::string nonce;
  };
  // ErrorKind::denied, with a reason fit for a log ("the clocks are 300 s apart"); never tells what would be right.
  [[nodiscard]] base::Result<Caller> check_request(std::string_view value, std::string_view method,
                                                   std::string_view target, std::string_view body, base::WallTime now);
  [[nodiscard]] std::string answer(std::string_view nonce, int status, std::string_view body) const;
  [[nodiscard]] bool check_answer(std::string_view value, std::string_view nonce, int status,
                                  std::string_view body) const;

 private:
  struct Impl;
  explicit Seal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::p2p
