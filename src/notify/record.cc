#include "record.h"

#include <algorithm>
#include <array>

namespace shoal::notify {
namespace {

using obs::Event;

constexpr std::size_t kMaxText = 1024;
constexpr std::uint8_t kVersion = 1;
constexpr std::uint32_t kCursorMagic = 0x434e4853;  // "SHNC"
constexpr std::uint8_t kSecure = 1;

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78U : 0U);
    table[i] = value;
  }
  return table;
}

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = crc_table();
  std::uint32_t crc = 0xffffffffU;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU];
  return ~crc;
}

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

void put_text(std::string& out, std::string_view text) {
  text = text.substr(0, kMaxText);
  put(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

// Takes values off the front; after the first that is not there, `ok` stays false.
struct Cursor {
  std::string_view rest;
  bool ok = true;

  template <class T>
  T take() {
    if (!ok || rest.size() < sizeof(T)) {
      ok = false;
      return 0;
    }
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | static_cast<T>(static_cast<T>(static_cast<unsigned char>(rest[i])) << (8 * i)));
    }
    rest.remove_prefix(sizeof(T));
    return value;
  }
  std::string take_text() {
    const auto size = take<std::uint16_t>();
    if (!ok || size > kMaxText || rest.size() < size) {
      ok = false;
      return {};
    }
    std::string text(rest.substr(0, size));
    rest.remove_prefix(size);
    return text;
  }
};

template <class Unit>
std::uint64_t count_of(base::WallTime at) {
  return static_cast<std::uint64_t>(std::chrono::floor<Unit>(at).time_since_epoch().count());
}
// Anything beyond the year 4000 comes from damage, and would overflow.
template <class Unit>
base::WallTime time_of(std::uint64_t count) {
  constexpr auto kMost = std::chrono::duration_cast<Unit>(std::chrono::hours(24 * 366 * 270)).count();
  return base::WallTime(Unit(std::min<std::uint64_t>(count, static_cast<std::uint64_t>(kMost))));
}

using Ms = std::chrono::milliseconds;
using Us = std::chrono::microseconds;

void put_event(std::string& out, const Event& event) {
  put(out, kVersion);
  put(out, static_cast<std::uint8_t>(event.kind));
  put(out, static_cast<std::uint8_t>(event.object));
  put(out, static_cast<std::uint8_t>(event.request.secure ? kSecure : 0));
  put(out, count_of<Us>(event.at));
  put(out, event.size);
  put(out, static_cast<std::uint64_t>(event.took.count()));
  const auto& request = event.request;
  for (const auto* text :
       {&event.id, &event.repository, &event.digest, &event.tag, &event.media_type, &event.from, &event.reason,
        &request.id, &request.peer, &request.host, &request.method, &request.user_agent, &request.user}) {
    put_text(out, *text);
  }
}

std::optional<Event> take_event(Cursor& bytes) {
  if (bytes.take<std::uint8_t>() != kVersion) return std::nullopt;
  const auto kind = bytes.take<std::uint8_t>();
  const auto object = bytes.take<std::uint8_t>();
  if (kind >= obs::kEventKinds || object >= obs::kEventObjects) return std::nullopt;
  Event event;
  event.kind = static_cast<obs::EventKind>(kind);
  event.object = static_cast<obs::EventObject>(object);
  event.request.secure = (bytes.take<std::uint8_t>() & kSecure) != 0;
  event.at = time_of<Us>(bytes.take<std::uint64_t>());
  event.size = bytes.take<std::uint64_t>();
  event.took = Ms(static_cast<std::int64_t>(bytes.take<std::uint64_t>() & INT64_MAX));
  auto& request = event.request;
  for (auto* text :
       {&event.id, &event.repository, &event.digest, &event.tag, &event.media_type, &event.from, &event.reason,
        &request.id, &request.peer, &request.host, &request.method, &request.user_agent, &request.user}) {
    *text = bytes.take_text();
  }
  if (!bytes.ok || !bytes.rest.empty()) return std::nullopt;
  return event;
}

}  // namespace

void append_frame(std::string& out, std::uint64_t sequence, std::string_view payload) {
  std::string checked;
  checked.reserve(8 + payload.size());
  put(checked, sequence);
  checked += payload;
  put(out, static_cast<std::uint32_t>(payload.size()));
  put(out, crc32c(checked));
  out += checked;
}

std::optional<Frame> parse_frame(std::string_view bytes) {
  Cursor head{bytes};
  const auto size = head.take<std::uint32_t>();
  const auto crc = head.take<std::uint32_t>();
  if (!head.ok || size == 0 || size > kMaxPayload || head.rest.size() < 8 + std::size_t{size}) return std::nullopt;
  const auto checked = head.rest.substr(0, 8 + std::size_t{size});
  if (crc32c(checked) != crc) return std::nullopt;
  return Frame{head.take<std::uint64_t>(), checked.substr(8)};
}

std::string encode(const Queued& queued) {
  std::string out;
  put(out, count_of<Ms>(queued.at));
  put_event(out, queued.event);
  return out;
}

std::optional<Queued> decode_queued(std::string_view payload) {
  Cursor bytes{payload};
  const auto at = bytes.take<std::uint64_t>();
  auto event = take_event(bytes);
  if (!event) return std::nullopt;
  return Queued{time_of<Ms>(at), std::move(*event)};
}

std::string encode(const Dead& dead) {
  std::string out;
  put(out, count_of<Ms>(dead.at));
  put(out, dead.attempts);
  put_text(out, dead.reason);
  put_event(out, dead.event);
  return out;
}

std::optional<Dead> decode_dead(std::string_view payload) {
  Cursor bytes{payload};
  Dead dead;
  dead.at = time_of<Ms>(bytes.take<std::uint64_t>());
  dead.attempts = bytes.take<std::uint32_t>();
  dead.reason = bytes.take_text();
  auto event = take_event(bytes);
  if (!event) return std::nullopt;
  dead.event = std::move(*event);
  return dead;
}

std::string encode_cursor(std::uint64_t sequence) {
  std::string number, out;
  put(number, sequence);
  put(out, kCursorMagic);
  put(out, crc32c(number));
  return out + number;
}

std::optional<std::uint64_t> decode_cursor(std::string_view bytes) {
  Cursor cursor{bytes};
  const auto magic = cursor.take<std::uint32_t>();
  const auto crc = cursor.take<std::uint32_t>();
  const auto number = cursor.rest;
  const auto sequence = cursor.take<std::uint64_t>();
  if (!cursor.ok || !cursor.rest.empty() || magic != kCursorMagic || crc32c(number) != crc) return std::nullopt;
  return sequence;
}

}  // namespace shoal::notify
