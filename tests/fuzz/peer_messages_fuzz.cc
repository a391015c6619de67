// What a peer of the swarm sends on one connection, as PeerProof hands it on: the extension handshake, haves, bitfields
// and "shoal_name" messages, between whatever else happens to a blob (pieces come, stripes change, time passes). What
// we answer is well formed and true, each piece is named at most once, and nothing that was held back is forgotten.
#include <cstdlib>
#include <libtorrent/bdecode.hpp>
#include <memory>
#include <string>
#include <vector>

#include "../../src/p2p/author_words.h"
#include "../../src/p2p/big_endian.h"
#include "../../src/p2p/peer_hello.h"
#include "../support/idle_blob.h"

namespace {

using namespace shoal;
using namespace shoal::p2p;

void require(bool holds) {
  if (!holds) std::abort();
}

class Input {
 public:
  explicit Input(std::string_view bytes) : left_(bytes) {}
  [[nodiscard]] bool empty() const { return left_.empty(); }
  std::uint32_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return value;
  }
  std::uint32_t two() { return byte() << 8 | byte(); }
  std::string_view bytes(std::size_t most) {
    const auto part = left_.substr(0, most);
    left_.remove_prefix(part.size());
    return part;
  }

 private:
  std::string_view left_;
};

const std::string kPeer(32, 'a');
constexpr std::uint32_t kPieceLength = 16 * 1024;

class Connection {
 public:
  Connection(std::uint32_t pieces, int their_number)
      : pieces_(pieces),
        number_(their_number),
        blob_(std::make_shared<SharedBlob>(*Naming::make(base::HmacKey("secret"), base::digest_of("x"),
                                                         std::uint64_t{pieces} * kPieceLength, kPieceLength),
                                           std::make_shared<test::NoFile>(), std::make_shared<test::NoEvents>(),
                                           ShareState{})),
        words_(blob_, [this](const std::string& message) { sent(message); }),
        held_(pieces),
        named_(pieces),
        heard_(pieces) {
    if (their_number != 0) words_.can_name(their_number);
    words_.is(kPeer);
  }

  void step(Input& in) {
    switch (in.byte() % 10) {
      case 0: return said(in.two());
      case 1: return said_all(words_.has_all(now_), pieces_, [](std::uint32_t) { return true; });
      case 2: {
        const auto count = in.byte() % 2 == 0 ? pieces_ : in.two();
        const std::string bits(in.bytes((count + 7) / 8));
        const auto has = [&bits](std::uint32_t piece) {
          return piece / 8 < bits.size() && (bits[piece / 8] >> (7 - piece % 8) & 1) != 0;
        };
        return said_all(words_.has_those(count, has, now_), count, has);
      }
      case 3: return asks(in.bytes(in.two()));
      case 4: {
        const auto piece = in.two() % pieces_;
        blob_->have(piece);
        const auto every = in.byte();
        return words_.arrived(
            piece, [every](std::uint32_t other) { return every != 0 && other % every == 0; }, now_);
      }
      case 5: return blob_->have(in.two() % pieces_);  // from elsewhere
      case 6: now_ += std::chrono::milliseconds(50 * in.byte()); return;
      case 7: {
        const auto rank = in.byte(), of = in.byte();
        const auto other = in.byte();
        return blob_->fresh().follow(other < 200 ? kPeer : "other" + std::to_string(other), {rank, of});
      }
      case 8: blob_->fresh().set_reader(first_missing()); return;
      default: {
        const auto every = in.byte();
        words_.look_for_orphans([every](std::uint32_t piece) { return every != 0 && piece % every == 0; }, now_);
      }
    }
  }

  // All that nobody else has is asked for in the end, if only the peer brings it.
  void run_to_the_end() {
    for (std::uint32_t round = 0; round < pieces_ + 50 && waits(); ++round) {
      now_ += std::chrono::seconds(4);
      blob_->fresh().set_reader(first_missing());
      words_.look_for_orphans([](std::uint32_t) { return false; }, now_);
      for (std::uint32_t piece = 0; piece < pieces_; ++piece) {
        if ((!named_[piece] && !heard_[piece]) || blob_->good(piece)) continue;
        blob_->have(piece);
        words_.arrived(
            piece, [](std::uint32_t) { return false; }, now_);
      }
    }
    require(!waits());
  }

 private:
  [[nodiscard]] bool waits() const {  // for a piece that it says it has, and that is not here
    for (std::uint32_t piece = 0; piece < pieces_; ++piece) {
      if (held_[piece] && !blob_->good(piece)) return true;
    }
    return false;
  }
  [[nodiscard]] bool holds_back() const { return number_ != 0 && blob_->fresh().rule(kPeer).has_value(); }
  [[nodiscard]] std::uint32_t first_missing() const {
    std::uint32_t piece = 0;
    while (piece < pieces_ && blob_->good(piece)) ++piece;
    return piece;
  }

  void said(std::uint32_t piece) {
    const bool known = holds_back();
    if (words_.has(piece, now_)) {
      require(known && piece < pieces_ && piece != 0 && !named_[piece] && !heard_[piece]);
      held_[piece] = true;
    } else if (piece < pieces_ && known) {
      heard_[piece] = true;
    }
  }
  template <class Has>
  void said_all(bool hidden, std::uint32_t count, Has has) {
    require(hidden == (holds_back() && count == pieces_));
    for (std::uint32_t piece = 0; hidden && piece < count; ++piece) {
      if (has(piece) && !heard_[piece]) held_[piece] = true;
    }
  }
  void asks(std::string_view body) {
    if (!AuthorWords::well_formed(static_cast<int>(body.size()))) {
      require(body.size() % 4 != 0 || body.size() > 4096);
      return;
    }
    asked_ += body.size() / 4;
    answers_left_ = body.size() / 4;
    require(words_.asks(body) == (asked_ <= 4ULL * pieces_ + 1'024));
    answers_left_ = 0;
  }

  // A whole message of the protocol, with its length before it.
  void sent(std::string_view message) {
    require(message.size() >= 9 && get32(message) == message.size() - 4);
    if (message[4] == 4) {  // HAVE, only when asked
      require(message.size() == 9 && answers_left_-- > 0);
      const auto piece = get32(message.substr(5));
      return require(piece < pieces_ && blob_->good(piece));
    }
    require(message[4] == 20 && static_cast<unsigned char>(message[5]) == number_ && number_ != 0);
    message.remove_prefix(6);
    require(AuthorWords::well_formed(static_cast<int>(message.size())));
    for (; !message.empty(); message.remove_prefix(4)) {
      const auto piece = get32(message);
      require(piece < pieces_ && !blob_->good(piece) && !named_[piece]);
      named_[piece] = true;
    }
  }

  const std::uint32_t pieces_;
  const int number_;
  const std::shared_ptr<SharedBlob> blob_;
  AuthorWords words_;
  base::SteadyTime now_{std::chrono::hours(1)};
  std::vector<bool> held_, named_, heard_;
  std::uint64_t asked_ = 0;
  std::size_t answers_left_ = 0;
};

void hello(std::string_view text) {
  lt::error_code error;
  const auto handshake = lt::bdecode({text.data(), static_cast<std::ptrdiff_t>(text.size())}, error);
  if (error) return;
  const auto hello = read_hello(handshake);
  if (!hello) return;
  require(hello->node.size() == 32 && hello->proof.size() == base::Mac{}.size());
  require(hello->name >= 0 && hello->name < 256);
  // Nobody here knows the secret.
  require(!proves(*hello, prove_hello(base::HmacKey("secret"), std::string(20, 'i'), kPeer, kPeer, hello->node)));
}

}  // namespace

// First byte odd: a handshake. Else pieces, their number for our messages, then steps.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in({reinterpret_cast<const char*>(data), size});
  if (in.byte() % 2 == 1) {
    hello(in.bytes(size));
    return 0;
  }
  const auto pieces = in.two() % 400 + 1;
  Connection connection(pieces, static_cast<int>(in.byte()));
  for (int steps = 0; !in.empty() && steps < 500; ++steps) connection.step(in);
  connection.run_to_the_end();
  return 0;
}
