// PeerHello: what a peer says of itself in the extension handshake (BEP 10), and its proof (peer_proof.h). Pure.
#pragma once

#include <libtorrent/fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/base/digest.h"

namespace shoal::p2p {

struct PeerHello {
  static constexpr char kProof[] = "shoal_proof", kNode[] = "shoal_node", kName[] = "shoal_name";
  std::string node;   // 32 hex digits
  std::string proof;  // as long as a Mac
  int name = 0;       // its number for "shoal_name" messages; 0: it knows none
};

// Nothing: not the hello of a node.
[[nodiscard]] std::optional<PeerHello> read_hello(const lt::bdecode_node& handshake);

// The peer ids of who says it and of who hears it, and the node that says it.
[[nodiscard]] base::Mac prove_hello(const base::HmacKey& secret, std::string_view info_hash, std::string_view from,
                                    std::string_view to, std::string_view node);
[[nodiscard]] bool proves(const PeerHello& hello, const base::Mac& wanted);  // in constant time

}  // namespace shoal::p2p
