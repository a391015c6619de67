#include "peer_hello.h"

#include <libtorrent/bdecode.hpp>

namespace shoal::p2p {
namespace {

std::string_view view(const base::Mac& mac) { return {reinterpret_cast<const char*>(mac.data()), mac.size()}; }

bool is_node_id(std::string_view id) {
  return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::optional<PeerHello> read_hello(const lt::bdecode_node& handshake) {
  if (handshake.type() != lt::bdecode_node::dict_t) return std::nullopt;
  const auto proof = handshake.dict_find_string_value(PeerHello::kProof);
  const auto node = handshake.dict_find_string_value(PeerHello::kNode);
  PeerHello hello{{node.data(), node.size()}, {proof.data(), proof.size()}, 0};
  if (!is_node_id(hello.node) || hello.proof.size() != base::Mac{}.size()) return std::nullopt;
  if (const auto messages = handshake.dict_find_dict("m")) {
    const auto number = messages.dict_find_int_value(PeerHello::kName);
    if (number > 0 && number < 256) hello.name = static_cast<int>(number);
  }
  return hello;
}

base::Mac prove_hello(const base::HmacKey& secret, std::string_view info_hash, std::string_view from,
                      std::string_view to, std::string_view node) {
  return secret.sign({"shoal p2p hello 1", info_hash, from, to, node});
}

bool proves(const PeerHello& hello, const base::Mac& wanted) { return base::equal_secrets(hello.proof, view(wanted)); }

}  // namespace shoal::p2p
