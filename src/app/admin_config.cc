#include "translate.h"

namespace shoal::app {

bool is_loopback(const net::Address& address) { return address.ip.starts_with("127.") || address.ip == "::1"; }

AdminSettings read_admin(config::Section section) {
  AdminSettings admin;
  const auto listen = section.string("listen", "127.0.0.1:5001");
  admin.allow_remote = section.boolean("allow_remote", admin.allow_remote);
  admin.hosts = section.list("hosts", {});
  admin.metrics_on_main = section.boolean("metrics_on_main", admin.metrics_on_main);
  if (listen.empty()) return admin;
  auto address = net::parse_address(listen);
  if (!address) {
    section.fail("listen", address.error().message());
    return admin;
  }
  if (!admin.allow_remote && !is_loopback(*address)) {
    section.fail("listen",
                 "the admin API has no TLS and no passwords: listen on 127.0.0.1 or ::1, or set admin.allow_remote: "
                 "true when the network keeps strangers out");
  }
  admin.listen = std::move(*address);
  return admin;
}

}  // namespace shoal::app
