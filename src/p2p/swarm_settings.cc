#include "swarm_settings.h"

#include <algorithm>
#include <libtorrent/alert.hpp>
#include <libtorrent/torrent_flags.hpp>
#include <libtorrent/torrent_info.hpp>
#include <limits>

namespace shoal::p2p {
namespace {

int bounded(std::uint64_t value) {
  return static_cast<int>(std::min<std::uint64_t>(value, std::numeric_limits<int>::max()));
}

void set_rates(lt::settings_pack& s, std::uint64_t upload, std::uint64_t download) {
  s.set_int(lt::settings_pack::upload_rate_limit, bounded(upload));
  s.set_int(lt::settings_pack::download_rate_limit, bounded(download));
}

// The network's first address, or its last one.
lt::address_v6 end_of(const Network& network, bool last) {
  auto bytes = network.address;
  for (unsigned bit = network.prefix; bit < 128; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    bytes[bit / 8] = static_cast<std::uint8_t>(last ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask);
  }
  return lt::address_v6(bytes);
}

// IPv4 networks are kept as mapped ones (::ffff:a.b.c.d); libtorrent has a table of its own for them.
void add_rule(lt::ip_filter& filter, const Network& network, std::uint32_t flags) {
  constexpr unsigned kMapped = 96;
  const auto first = end_of(network, /*last=*/false), last = end_of(network, /*last=*/true);
  const auto v4 = [](const lt::address_v6& v6) { return lt::make_address_v4(boost::asio::ip::v4_mapped, v6); };
  if (network.prefix >= kMapped && first.is_v4_mapped()) return filter.add_rule(v4(first), v4(last), flags);
  filter.add_rule(first, last, flags);
  if (!network.contains("0.0.0.0")) return;
  filter.add_rule(lt::make_address("0.0.0.0"), lt::make_address("255.255.255.255"), flags);
}

}  // namespace

lt::ip_filter only_these(const std::vector<Network>& allow) {
  lt::ip_filter filter;
  if (allow.empty()) return filter;
  add_rule(filter, Network{{}, 0}, lt::ip_filter::blocked);
  for (const auto& network : allow) add_rule(filter, network, 0);
  return filter;
}

lt::settings_pack rate_settings(std::uint64_t upload, std::uint64_t download) {
  lt::settings_pack s;
  set_rates(s, upload, download);
  return s;
}

lt::settings_pack swarm_settings(const SwarmOptions& options) {
  using sp = lt::settings_pack;
  sp s;
  const bool v6 = options.listen.find(':') != std::string::npos;
  const bool any = options.listen == "0.0.0.0" || options.listen == "::";
  s.set_str(sp::listen_interfaces,
            (v6 ? "[" + options.listen + "]" : options.listen) + ":" + std::to_string(options.port));
  s.set_str(sp::outgoing_interfaces, any ? "" : options.listen);
  s.set_bool(sp::listen_system_port_fallback, false);
  s.set_int(sp::max_retry_port_bind, 0);
  s.set_str(sp::user_agent, "");
  s.set_str(sp::handshake_client_version, "");
  s.set_str(sp::peer_fingerprint, "-SH0001-");

  // Nothing is announced and nobody is looked for: who takes part is told by the site's trackers. TCP only, in clear,
  // as the rest of what nodes say to each other on a site without TLS; pieces are proven one by one.
  for (const int off : {sp::enable_dht, sp::enable_lsd, sp::enable_upnp, sp::enable_natpmp, sp::enable_ip_notifier,
                        sp::enable_incoming_utp, sp::enable_outgoing_utp, sp::announce_to_all_trackers,
                        sp::announce_to_all_tiers, sp::smooth_connects})
    s.set_bool(off, false);
  s.set_int(sp::peer_dscp, 0x04);  // the octet of LE, less than best effort (RFC 8622): clients come first
  s.set_int(sp::in_enc_policy, sp::pe_disabled);
  s.set_int(sp::out_enc_policy, sp::pe_disabled);
  s.set_bool(sp::allow_multiple_connections_per_ip, true);  // nodes behind one address

  // The seed's upload is the scarce thing: short queues, so that it sends each piece once. Measured.
  s.set_int(sp::max_allowed_in_request_queue, bounded(options.requests_served));
  s.set_int(sp::max_out_request_queue, bounded(options.requests_made));
  s.set_int(sp::request_queue_time, 1);
  s.set_int(sp::whole_pieces_threshold, 0);
  s.set_int(sp::allowed_fast_set_size, 0);
  s.set_int(sp::unchoke_slots_limit, -1);
  s.set_int(sp::send_buffer_watermark, 64 << 10);
  s.set_int(sp::send_buffer_watermark_factor, 10);
  s.set_int(sp::send_buffer_low_watermark, 16 << 10);
  s.set_int(sp::max_queued_disk_bytes, bounded(options.memory));

  // Defaults are for transfers of hours: a layer takes seconds.
  s.set_int(sp::tick_interval, 100);
  s.set_int(sp::connections_limit, bounded(options.max_connections));
  s.set_int(sp::listen_queue_size, 100);
  s.set_int(sp::torrent_connect_boost, 200);
  s.set_int(sp::connection_speed, 500);
  s.set_int(sp::min_reconnect_time, 1);
  s.set_int(sp::max_failcount, 20);
  s.set_int(sp::peer_connect_timeout, 5);
  s.set_int(sp::handshake_timeout, 5);
  s.set_int(sp::stop_tracker_timeout, 0);
  s.set_bool(sp::close_redundant_connections, false);
  s.set_bool(sp::use_parole_mode, true);  // how suspects are made to bring whole pieces (peer_proof.cc)
  set_rates(s, options.upload_rate, options.download_rate);

  s.set_int(sp::alert_queue_size, 100'000);  // what does not fit is dropped
  s.set_int(sp::alert_mask,
            static_cast<int>(static_cast<std::uint32_t>(lt::alert_category::error | lt::alert_category::status |
                                                        lt::alert_category::storage | lt::alert_category::ip_block)));
  return s;
}

base::Result<lt::add_torrent_params> torrent_of(const SharedBlob& blob, const SwarmOptions& options) {
  const std::string metainfo = blob.naming().metainfo();
  lt::error_code error;
  lt::add_torrent_params p;
  p.ti = std::make_shared<lt::torrent_info>(lt::span<const char>(metainfo), error, lt::from_span);
  if (error) return base::Error(base::ErrorKind::bug, "the derived torrent: " + error.message());
  p.save_path = "/";  // must not be empty; never used
  p.flags = lt::torrent_flags::paused | lt::torrent_flags::apply_ip_filter;
  p.max_connections = bounded(options.share_connections);
  const auto pieces = blob.naming().pieces();
  if (blob.complete()) {
    p.flags |= lt::torrent_flags::seed_mode;
    p.verified_pieces.resize(static_cast<int>(pieces), true);  // or each is hashed again when it is first sent
  } else if (blob.good_count() > 0) {
    p.have_pieces.resize(static_cast<int>(pieces), false);  // exactly all pieces: a shorter field starts a full check
    for (std::uint32_t i = 0; i < pieces; ++i)
      if (blob.good(i)) p.have_pieces.set_bit(lt::piece_index_t(static_cast<int>(i)));
  }
  return p;
}

}  // namespace shoal::p2p
