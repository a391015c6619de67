// PieceBuffers: the blocks of pieces that are not whole yet, in memory, with libtorrent's handlers of their writes.
// Network thread only; a whole piece is taken out and goes its way as a PieceBuffer of its own.
//
// Memory: a piece counts whole from its first block on. Unfinished pieces may take half of `limit`: beyond, the one
// that has not grown for the longest goes. Unfinished and whole ones (hashed, written, waiting for their map entry)
// together may take `limit`: beyond, peers are to stop sending, as long as there are whole ones to wait for; so that
// what lets them go on does not depend on peers. Whole ones of one storage that came before their map entry may take a
// quarter of it, those of all storages half of it: beyond, the peers of such storages are to stop. So authors who tell
// nothing hold up their own blobs, not the others.
#pragma once

#include <functional>
#include <libtorrent/error_code.hpp>
#include <libtorrent/peer_request.hpp>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "shared_blob.h"

namespace shoal::p2p {

struct PieceBuffer {
  using Write = std::function<void(const lt::storage_error&)>;
  std::shared_ptr<SharedBlob> blob;
  std::uint32_t storage = 0;
  std::uint32_t piece = 0;
  std::uint32_t size = 0;          // of the piece
  std::unique_ptr<char[]> memory;  // null: upstream brings the piece, what peers send is dropped
  std::vector<PeerRef> authors;    // by block
  std::vector<bool> present;       // by block
  std::size_t missing = 0;         // blocks
  std::vector<Write> writes;       // of the blocks that came; all are answered when the piece's fate is known
  std::uint64_t touched = 0;
  bool unmapped = false;  // it was whole before its map entry came
  [[nodiscard]] std::string_view bytes() const { return {memory.get(), memory ? size : 0}; }
};

class PieceBuffers {
 public:
  explicit PieceBuffers(std::size_t limit) : limit_(limit) {}

  // Copies one block in.
  void add(const std::shared_ptr<SharedBlob>& blob, std::uint32_t storage, const lt::peer_request& block,
           const char* bytes, PeerRef author, PieceBuffer::Write written);
  // All blocks of the piece, or null. It stays accounted for until release().
  [[nodiscard]] std::shared_ptr<PieceBuffer> take_whole(std::uint32_t storage, std::uint32_t piece);
  void release(PieceBuffer& whole);
  void forget_spare();  // nothing is being transferred any more

  // Unfinished pieces that must go: of a storage or a piece, or the longest untouched while there are too many.
  [[nodiscard]] std::vector<std::shared_ptr<PieceBuffer>> take_all(std::uint32_t storage);
  [[nodiscard]] std::shared_ptr<PieceBuffer> take(std::uint32_t storage, std::uint32_t piece);
  [[nodiscard]] std::shared_ptr<PieceBuffer> take_overdue();

  // For more of that storage.
  [[nodiscard]] bool full(std::uint32_t storage) const {
    const auto held = unmapped(storage);
    return (whole_ > all_unmapped_ && whole_ + unfinished_ > limit_) || held > limit_ / 4 ||
           (held > 0 && all_unmapped_ > limit_ / 2);
  }
  [[nodiscard]] bool has_room(std::uint32_t storage) const {
    const auto held = unmapped(storage);
    return (whole_ == all_unmapped_ || whole_ + unfinished_ <= limit_ / 2) && held <= limit_ / 8 &&
           (held == 0 || all_unmapped_ <= limit_ / 4);
  }
  [[nodiscard]] std::size_t bytes() const { return whole_ + unfinished_; }

 private:
  using Key = std::pair<std::uint32_t, std::uint32_t>;  // storage, piece
  // Memory of pieces that are done: fresh memory of this size costs more, page by page, than hashing what comes in.
  struct Spare {
    std::uint32_t size;
    std::unique_ptr<char[]> memory;
  };
  std::shared_ptr<PieceBuffer> take(std::map<Key, std::shared_ptr<PieceBuffer>>::iterator at);
  [[nodiscard]] std::size_t unmapped(std::uint32_t storage) const;
  std::unique_ptr<char[]> obtain(std::uint32_t size);
  void recycle(std::uint32_t size, std::unique_ptr<char[]> memory);
  const std::size_t limit_;
  std::map<Key, std::shared_ptr<PieceBuffer>> pieces_;
  std::vector<Spare> spare_;  // at most a sixteenth of the limit
  std::size_t spare_bytes_ = 0;
  std::size_t unfinished_ = 0;
  std::size_t whole_ = 0;
  std::map<std::uint32_t, std::size_t> unmapped_;  // of those, by storage
  std::size_t all_unmapped_ = 0;
  std::uint64_t clock_ = 0;
};

}  // namespace shoal::p2p
