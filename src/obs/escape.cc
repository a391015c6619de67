#include "escape.h"

#include <algorithm>
#include <cstdint>

namespace shoal::obs {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Length of the well-formed UTF-8 sequence at the front (RFC 3629: no overlongs, no surrogates); 0: none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&text](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0;
  };
  const auto tail = [&byte](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return tail(1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef) {
    const unsigned second = byte(1);
    if (!tail(1) || !tail(2) || (b == 0xe0 && second < 0xa0) || (b == 0xed && second > 0x9f)) return 0;
    return 3;
  }
  if (b >= 0xf0 && b <= 0xf4) {
    const unsigned second = byte(1);
    if (!tail(1) || !tail(2) || !tail(3) || (b == 0xf0 && second < 0x90) || (b == 0xf4 && second > 0x8f)) return 0;
    return 4;
  }
  return 0;
}

bool is_c1_control(std::string_view sequence) {
  return sequence.size() == 2 && sequence[0] == '\xc2' && static_cast<std::uint8_t>(sequence[1]) < 0xa0;
}

struct Piece {
  char bytes[16];
  std::size_t size = 0;
  void add(char c) { bytes[size++] = c; }
};

Piece plain_escape(std::string_view bytes, std::string_view also_escaped) {
  Piece piece;
  for (const char c : bytes) {
    if (also_escaped.find(c) != std::string_view::npos) {
      piece.add('\\');
      piece.add(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      piece.add('\\');
      piece.add(c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    } else {
      piece.add('\\');
      piece.add('x');
      piece.add(kHex[static_cast<std::uint8_t>(c) >> 4]);
      piece.add(kHex[c & 15]);
    }
  }
  return piece;
}

Piece json_escape(std::string_view bytes, bool valid) {
  Piece piece;
  if (!valid) {
    for (const char c : {'\xef', '\xbf', '\xbd'}) piece.add(c);  // U+FFFD
    return piece;
  }
  unsigned code = static_cast<std::uint8_t>(bytes[0]);
  if (bytes.size() == 2) code = static_cast<std::uint8_t>(bytes[1]);  // a C1 control: U+0080..U+009F
  piece.add('\\');
  switch (code) {
    case '"':
    case '\\': piece.add(static_cast<char>(code)); break;
    case '\n': piece.add('n'); break;
    case '\r': piece.add('r'); break;
    case '\t': piece.add('t'); break;
    default:
      for (const char c : {'u', '0', '0', kHex[code >> 4], kHex[code & 15]}) piece.add(c);
  }
  return piece;
}

// Copies runs of ordinary bytes at once; `escape(bytes, valid)` makes the rest safe.
template <class Escape>
bool append_escaped(std::string& out, std::string_view text, std::string_view also_escaped, std::size_t limit,
                    Escape escape) {
  const auto ordinary = [also_escaped](char c) {
    return c >= 0x20 && c != 0x7f && also_escaped.find(c) == std::string_view::npos;
  };
  while (!text.empty()) {
    const auto run = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), ordinary) - text.begin());
    if (run > 0) {
      const auto taken = std::min(run, limit);
      out.append(text.substr(0, taken));
      limit -= taken;
      if (taken < run) return false;
      text.remove_prefix(run);
      continue;
    }
    const auto length = sequence_length(text);
    const auto bytes = text.substr(0, std::max<std::size_t>(length, 1));
    if (length > 1 && !is_c1_control(bytes)) {
      if (limit < length) return false;
      out.append(bytes);
      limit -= length;
    } else {
      const Piece piece = escape(bytes, length > 0);
      if (limit < piece.size) return false;
      out.append(piece.bytes, piece.size);
      limit -= piece.size;
    }
    text.remove_prefix(bytes.size());
  }
  return true;
}

}  // namespace

bool append_plain(std::string& out, std::string_view text, std::size_t limit) {
  return append_escaped(out, text, {}, limit, [](std::string_view bytes, bool) { return plain_escape(bytes, {}); });
}

bool append_value(std::string& out, std::string_view text, std::size_t limit) {
  const bool bare = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=';
  });
  if (bare && text.size() <= limit) {
    out.append(text);
    return true;
  }
  if (limit < 2) return false;
  out.push_back('"');
  const bool all = append_escaped(out, text, "\"\\", limit - 2,
                                  [](std::string_view bytes, bool) { return plain_escape(bytes, "\"\\"); });
  out.push_back('"');
  return all;
}

bool append_json(std::string& out, std::string_view text, std::size_t limit) {
  if (limit < 2) return false;
  out.push_back('"');
  const bool all = append_escaped(out, text, "\"\\", limit - 2, json_escape);
  out.push_back('"');
  return all;
}

}  // namespace shoal::obs
