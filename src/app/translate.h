// One function per section of the configuration: keys in, options out. They note problems in the Section and go on.
#pragma once

#include <string_view>

#include "shoal/app/settings.h"

namespace shoal::app {

[[nodiscard]] ServerSettings read_server(config::Section section);
// Reads the files of server.tls: last, as neighbours' certificates come in through the same listener.
void load_certificate(config::Section server_section, const p2p::SiteOptions& site, ServerSettings& server);
[[nodiscard]] store::StoreOptions read_storage(config::Section section);
[[nodiscard]] std::uint64_t read_scrub_rate(config::Section storage);
[[nodiscard]] upstream::UpstreamOptions read_upstream(const std::string& name, config::Section section,
                                                      bool read_secrets);
[[nodiscard]] mirror::MirrorOptions read_mirror(config::Section section);
// `settings`: with upstreams and default_upstream.
[[nodiscard]] std::vector<std::string> read_hosted(config::Section root, const Settings& settings);
// What the store must know goes into `storage`.
[[nodiscard]] RegistrySettings read_registry(config::Section section, store::StoreOptions& storage);
[[nodiscard]] AuthSettings read_auth(config::Section section, bool read_secrets);
[[nodiscard]] p2p::SiteOptions read_p2p(config::Section section, const ServerSettings& server, bool read_secrets);
[[nodiscard]] notify::Options read_notifications(config::Section section, bool read_secrets);
[[nodiscard]] AdminSettings read_admin(config::Section section);
[[nodiscard]] LogSettings read_log(config::Section section);

[[nodiscard]] bool is_loopback(const net::Address& address);

}  // namespace shoal::app
