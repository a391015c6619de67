// Session: one target as a client talks to it before and beside the measuring: logging in, finding out what the image
// consists of, bringing it in, making the target forget it. Blocks in Drive. One thread.
#pragma once

#include <set>
#include <string>

#include "drive.h"
#include "image.h"
#include "shoal/upstream/auth.h"
#include "target.h"

namespace shoal::bench {

class Session {
 public:
  // `ns`: the registry to tell a mirror, as ?ns=; "" for none.
  Session(Drive& drive, Target target, Login login, std::string_view ns);

  [[nodiscard]] const Target& target() const { return target_; }
  [[nodiscard]] base::Result<void> open();  // finds the way there
  [[nodiscard]] const Route* route() const { return route_; }
  // What requests carry now; a token that is old is renewed first, which takes a request or two.
  [[nodiscard]] const std::string& authorization();

  // Asks and waits. A 401 is answered with a login, and asked again. Errors are of the transport.
  [[nodiscard]] base::Result<Answer> ask(Ask ask);
  // The same; an answer of another status is an error in the server's words.
  [[nodiscard]] base::Result<Answer> expect(Ask ask, std::initializer_list<int> statuses);
  void may_push() { actions_ = "pull,push"; }

  [[nodiscard]] base::Result<Image> resolve(const std::string& reference, const std::string& platform);
  // Every blob once, and against its digest.
  [[nodiscard]] base::Result<void> fetch_all(const Image& image);
  // Until the target says that it would send every blob from its cache: one that has just fetched a blob may still have
  // to put it there. False: it says otherwise, after a few seconds. One that does not tell is believed.
  [[nodiscard]] base::Result<bool> wait_until_warm(const Image& image);
  // By a Shoal node's admin API. `had`: it must have had them, so that one it does not know yet is waited for.
  [[nodiscard]] base::Result<void> forget(const std::string& admin, const Image& image, bool had);

 private:
  [[nodiscard]] base::Result<void> log_in(const Answer& refusal);
  [[nodiscard]] base::Result<void> fetch_token();
  [[nodiscard]] base::Result<void> take_manifest(Image& image, const std::string& reference,
                                                 const std::string& platform, std::set<std::string>& seen,
                                                 std::vector<std::string>& next);
  [[nodiscard]] base::Result<void> forget_blob(const Route* admin, const std::string& digest, bool had);

  Drive& drive_;
  const Target target_;
  const std::string query_;
  upstream::UpstreamOptions options_;  // the credentials, for upstream's rules about who may have them
  const Route* route_ = nullptr;
  std::string actions_ = "pull";
  std::optional<upstream::AuthChallenge> challenge_;
  std::string authorization_;
  Time renew_at_ = Time::max();
};

// "HTTP 404: MANIFEST_UNKNOWN: ..."
[[nodiscard]] std::string refusal(int status, std::string_view body);

}  // namespace shoal::bench
