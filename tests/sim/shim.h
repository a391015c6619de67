// Shim: a node that is not quite like this version: before its own handler it changes what neighbours ask and are told.
// It knows the site's secret, as any node does, so what it says is sealed.
#pragma once

#include <memory>
#include <string>

#include "shoal/base/clock.h"
#include "shoal/http/server.h"

namespace shoal::p2p {
class Seal;
}

namespace shoal::sim {

struct Ways {
  bool knows_pieces = true;     // false: an older version, without /p2p/v1/pieces/ and without ports in what it tells
  bool says_more = false;       // a newer version, whose answers have members that nobody knows
  bool lies_on_pieces = false;  // its piece maps are false, though its bytes are right
  bool refuses_blobs = false;   // 500 to whoever asks it for content, though its tracker part works
};

class Shim final : public http::Handler {
 public:
  Shim(http::Handler& inner, Ways ways, const std::string& secret, base::Clock& clock);
  ~Shim() override;
  [[nodiscard]] http::BodyMode body_mode(const http::Request& request) override { return inner_.body_mode(request); }
  [[nodiscard]] std::unique_ptr<http::Operation> handle(const http::Request& request,
                                                        http::Responder responder) override;

 private:
  http::Handler& inner_;
  const Ways ways_;
  std::unique_ptr<p2p::Seal> seal_;
  base::Clock& clock_;
};

}  // namespace shoal::sim
