// Sealed calls between nodes: POST with a JSON body, answered by JSON whose seal is checked. One loop.
#pragma once

#include <string>

#include "core.h"
#include "shoal/fetch/client.h"

namespace shoal::p2p {

inline constexpr std::string_view kAnnouncePath = "/p2p/v1/announce";
inline constexpr std::string_view kWantPath = "/p2p/v1/want";
inline constexpr std::string_view kPiecesPath = "/p2p/v1/pieces/";
inline constexpr std::string_view kSealHeader = "Shoal-Seal";
inline constexpr std::string_view kProvenHeader = "Shoal-Proven";
inline constexpr std::string_view kOffsetHeader = "Shoal-Offset";
inline constexpr std::string_view kSizeHeader = "Shoal-Size";
inline constexpr std::string_view kSwarmPortHeader = "Shoal-Swarm-Port";
inline constexpr std::size_t kMaxAnswer = 256 * 1024;

// A call names the host it is meant for. A receiver does not know all its names, so who can listen on the wire may
// repeat a call at another node, once, within the seal's window.
[[nodiscard]] std::string sealed_target(std::string_view host, std::string_view target);

struct SealedCall {
  fetch::Request request;
  std::string nonce;
};
// `target`: path and query.
[[nodiscard]] SealedCall sealed_call(const Site::Core& core, std::string_view method, const std::string& url,
                                     const std::string& target, std::string body = {});

// The body of a 200 with a good seal; else what is wrong. Drop the Transfer to cancel.
enum class Covers {
  body,  // the seal
  head,  // ... of a 200: its Content-Type only; the caller knows the digest of the body
};
using Answered = base::UniqueFunction<void(base::Result<fetch::Client::Reply>)>;
[[nodiscard]] fetch::Transfer call(const Site::Core& core, fetch::Client& client, std::string_view method,
                                   const std::string& url, const std::string& target, std::string body,
                                   std::size_t max_answer, Covers covers, Answered done);
// What is sealed of a manifest's answer.
[[nodiscard]] std::string manifest_text(std::string_view media_type);

// What is sealed of an answer besides its status: the proof it claims, and its body.
[[nodiscard]] std::string sealed_text(std::string_view proven, std::string_view body);
// ... and in place of a blob's bytes, which their digest proves.
[[nodiscard]] std::string blob_text(std::string_view offset, std::string_view size);

// ... and of a piece map's, whose frames have their own (map_frames.h).
[[nodiscard]] std::string map_text(std::string_view swarm_port);

// Of a blob's answer: its status, and seal.
[[nodiscard]] base::Result<void> check_head(const Site::Core& core, const fetch::ResponseHead& head,
                                            const std::string& nonce, const std::string& url);

// 404 is not_found, 401 and 403 denied, 429 and 503 busy, others gone. `said`: of the body, cut short.
[[nodiscard]] base::Error answer_error(int status, const std::string& url, std::string_view said);

}  // namespace shoal::p2p
