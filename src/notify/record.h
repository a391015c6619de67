// The bytes of the queue on disk: frames (one record each, with a checksum) and what is in them. Little-endian. Values;
// any thread. Decoding takes any bytes: a damaged disk's too.
//
// frame:   u32 size of the payload | u32 CRC-32C of what follows | u64 sequence number | payload
// queued:  u64 when (ms) | event
// dead:    u64 when (ms) | u32 attempts | u16 length, reason | event
// event:   u8 version 1 | u8 kind | u8 object | u8 flags | u64 at (us) | u64 size | u64 took (ms) | strings, each u16
//          length and at most 1,024 bytes: id, repository, digest, tag, media type, from, reason; of the request: id,
//          peer, host, method, user agent, user
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/base/clock.h"
#include "shoal/obs/event.h"

namespace shoal::notify {

inline constexpr std::size_t kFrameHead = 16;
inline constexpr std::size_t kMaxPayload = 16 * 1024;  // more than 14 texts of 1,024 bytes need

struct Frame {
  std::uint64_t sequence = 0;
  std::string_view payload;
  [[nodiscard]] std::size_t size() const { return kFrameHead + payload.size(); }
};
void append_frame(std::string& out, std::uint64_t sequence, std::string_view payload);
// The frame at the beginning of `bytes`; nullopt: cut short or damaged.
[[nodiscard]] std::optional<Frame> parse_frame(std::string_view bytes);

struct Queued {
  base::WallTime at{};
  obs::Event event;
};
[[nodiscard]] std::string encode(const Queued& queued);
[[nodiscard]] std::optional<Queued> decode_queued(std::string_view payload);

struct Dead {
  base::WallTime at{};
  std::uint32_t attempts = 0;
  std::string reason;
  obs::Event event;
};
[[nodiscard]] std::string encode(const Dead& dead);
[[nodiscard]] std::optional<Dead> decode_dead(std::string_view payload);

// How far delivery is: 16 bytes, u32 "SHNC" | u32 CRC-32C | u64 sequence number of the next record to deliver.
[[nodiscard]] std::string encode_cursor(std::uint64_t sequence);
[[nodiscard]] std::optional<std::uint64_t> decode_cursor(std::string_view bytes);

}  // namespace shoal::notify
