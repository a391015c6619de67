#include "map_call.h"

#include <charconv>

#include "call.h"
#include "piece_choice.h"
#include "shoal/base/format.h"
#include "shoal/registry/name.h"

namespace shoal::p2p {
namespace {

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

// Of "http://10.0.0.7:5000" and "https://[fd00::7]:5000"; "" for a name.
std::string ip_of(const std::string& url) {
  auto host = url.substr(url.find("://") + 3);
  host.resize(std::min(host.rfind(':'), host.size()));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return Network::parse(host).ok() ? host : std::string();
}

}  // namespace

MapCall::MapCall(const Site::Core& core, fetch::Client& client, const NodeInfo& author, const Question& question,
                 MapCall::Taker& taker)
    : core_(core), author_(author), taker_(taker), pieces_(question.pieces) {
  const auto target = base::format("{}{}?repository={}&size={}&piece={}&port={}", kPiecesPath,
                                   question.digest.to_string(), registry::percent_encoded(question.repository),
                                   question.size, piece_length_for(question.size), question.port);
  const auto call_us = ip_of(author.url).empty() ? "&call=1" : "";  // a name: it knows our address
  auto made = sealed_call(core, "GET", author.url, target + call_us);
  nonce_ = std::move(made.nonce);
  made.request.first_byte_timeout = core.options.call_timeout * 2;  // it may have to open the blob first
  made.request.stall_timeout = core.options.stall_timeout + kKeepAlive;
  transfer_ = client.start(std::move(made.request), *this);
}

void MapCall::on_head(const fetch::ResponseHead& head) {
  const auto proven = head.header(kProvenHeader);
  const auto port = head.header(kSwarmPortHeader);
  if (head.status != 200) {
    refused_ = answer_error(head.status, author_.url, {});
    return;
  }
  if (!core_.seal->check_answer(head.header(kSealHeader), nonce_, head.status, sealed_text(proven, map_text(port)))) {
    refused_ = base::Error(base::ErrorKind::denied, author_.url + ": answered, but without the site's seal");
    return;
  }
  const auto number = port_of(port);
  if (!number) {
    refused_ = base::Error(base::ErrorKind::gone, author_.url + ": does not say where its swarm is");
    return;
  }
  swarm_ = {author_.id, ip_of(author_.url), *number};
  FrameReader::Taker& here = *this;
  frames_.emplace(*core_.seal, nonce_, pieces_, here);
  taker_.on_author(author_, proven == "1");
}

void MapCall::on_place(MapPlace place) {
  if (std::exchange(placed_, true)) {
    place.peers.clear();
    place.direct = false;
  }
  taker_.on_place(swarm_, place);
}

fetch::Flow MapCall::on_data(std::string_view bytes) {
  if (!frames_) return fetch::Flow::go_on;
  const auto alive = life_.watch();
  auto taken = frames_->take(bytes);
  if (alive.gone() || taken.ok()) return fetch::Flow::go_on;
  frames_.reset();
  transfer_.cancel();
  taker_.on_author_lost(author_, base::Error(taken.error().kind(), author_.url + ": " + taken.error().message()));
  return fetch::Flow::go_on;
}

void MapCall::on_end(base::Result<void> result) {
  auto why = base::Error(base::ErrorKind::cancelled, author_.url + ": tells no more about the blob");
  if (!result.ok()) why = result.error();
  if (refused_) why = *refused_;
  taker_.on_author_lost(author_, std::move(why));
}

}  // namespace shoal::p2p
