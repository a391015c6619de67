// ManifestPut: PUT of a manifest by tag or digest. OCI distribution-spec "Pushing manifests".
#pragma once

#include <variant>
#include <vector>

#include "push_exchange.h"
#include "shoal/registry/name.h"
#include "shoal/registry/push.h"

namespace shoal::serve {

class ManifestPut final : public PushExchange {
 public:
  ManifestPut(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
              std::string repository, registry::Reference reference, const std::string& query);
  void start();

  struct Refused {
    int status;
    std::string_view code;
    std::string message;
  };
  using Checked = std::variant<store::ManifestPush, Refused>;  // what was sent, hashed and read

 private:
  [[nodiscard]] bool read_tags();
  void read_on();
  void check();
  void store(Checked checked);
  void refuse_error(const base::Error& error);
  [[nodiscard]] std::vector<obs::Event> push_events(const store::ManifestPush& push) const;

  registry::Reference reference_;
  std::string query_, content_type_, body_;
  std::vector<std::string> tags_;
  std::size_t size_ = 0;
  std::optional<base::Digest> digest_, subject_;  // of the answer
};

// The rule that keeps a tag where it is: "team/**:v*"; "" if none does.
[[nodiscard]] std::string fixing_rule(const HostedOptions& options, std::string_view repository, std::string_view tag);

}  // namespace shoal::serve
