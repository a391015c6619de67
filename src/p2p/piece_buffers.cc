#include "piece_buffers.h"

#include <algorithm>
#include <cstring>

namespace shoal::p2p {

void PieceBuffers::add(const std::shared_ptr<SharedBlob>& blob, std::uint32_t storage, const lt::peer_request& block,
                       const char* bytes, PeerRef author, PieceBuffer::Write written) {
  const auto piece = static_cast<std::uint32_t>(static_cast<int>(block.piece));
  auto& slot = pieces_[{storage, piece}];
  if (!slot) {
    slot = std::make_shared<PieceBuffer>();
    slot->blob = blob;
    slot->storage = storage;
    slot->piece = piece;
    slot->size = blob->naming().piece_size(piece);
    slot->missing = (slot->size - 1) / kBlockSize + 1;
    slot->authors.resize(slot->missing);
    slot->present.resize(slot->missing);
    slot->writes.reserve(slot->missing);
    if (blob->open(piece)) slot->memory = obtain(slot->size);
    unfinished_ += slot->bytes().size();
  }
  if (slot->memory) std::memcpy(slot->memory.get() + block.start, bytes, static_cast<std::size_t>(block.length));
  const std::size_t index = static_cast<std::size_t>(block.start) / kBlockSize;
  slot->authors[index] = author;
  if (!slot->present[index]) --slot->missing;
  slot->present[index] = true;
  slot->writes.push_back(std::move(written));
  slot->touched = ++clock_;
}

std::shared_ptr<PieceBuffer> PieceBuffers::take(std::map<Key, std::shared_ptr<PieceBuffer>>::iterator at) {
  std::shared_ptr<PieceBuffer> out = std::move(at->second);
  pieces_.erase(at);
  unfinished_ -= out->bytes().size();
  return out;
}

std::shared_ptr<PieceBuffer> PieceBuffers::take_whole(std::uint32_t storage, std::uint32_t piece) {
  const auto found = pieces_.find({storage, piece});
  if (found == pieces_.end() || found->second->missing != 0) return nullptr;
  auto out = take(found);
  whole_ += out->bytes().size();
  out->unmapped = out->blob->open(piece) && !out->blob->entry(piece);
  if (out->unmapped) {
    unmapped_[storage] += out->bytes().size();
    all_unmapped_ += out->bytes().size();
  }
  return out;
}

std::size_t PieceBuffers::unmapped(std::uint32_t storage) const {
  const auto found = unmapped_.find(storage);
  return found == unmapped_.end() ? 0 : found->second;
}

void PieceBuffers::release(PieceBuffer& whole) {
  whole_ -= whole.bytes().size();
  if (whole.unmapped) {
    all_unmapped_ -= whole.bytes().size();
    if ((unmapped_[whole.storage] -= whole.bytes().size()) == 0) unmapped_.erase(whole.storage);
  }
  if (whole.memory) recycle(whole.size, std::move(whole.memory));
}

std::unique_ptr<char[]> PieceBuffers::obtain(std::uint32_t size) {
  const auto found = std::find_if(spare_.begin(), spare_.end(), [size](const Spare& s) { return s.size == size; });
  if (found == spare_.end()) return std::unique_ptr<char[]>(new char[size]);  // not zeroed: all of it will be written
  auto memory = std::move(found->memory);
  spare_.erase(found);
  spare_bytes_ -= size;
  return memory;
}

void PieceBuffers::recycle(std::uint32_t size, std::unique_ptr<char[]> memory) {
  if (spare_bytes_ + size > limit_ / 16) return;
  spare_.push_back(Spare{size, std::move(memory)});
  spare_bytes_ += size;
}

void PieceBuffers::forget_spare() {
  spare_.clear();
  spare_bytes_ = 0;
}

std::vector<std::shared_ptr<PieceBuffer>> PieceBuffers::take_all(std::uint32_t storage) {
  std::vector<std::shared_ptr<PieceBuffer>> out;
  for (auto at = pieces_.lower_bound({storage, 0}); at != pieces_.end() && at->first.first == storage;)
    out.push_back(take(at++));
  return out;
}

std::shared_ptr<PieceBuffer> PieceBuffers::take(std::uint32_t storage, std::uint32_t piece) {
  const auto found = pieces_.find({storage, piece});
  return found == pieces_.end() ? nullptr : take(found);
}

std::shared_ptr<PieceBuffer> PieceBuffers::take_overdue() {
  if (unfinished_ <= limit_ / 2 || pieces_.size() < 2) return nullptr;
  return take(std::min_element(pieces_.begin(), pieces_.end(),
                               [](const auto& a, const auto& b) { return a.second->touched < b.second->touched; }));
}

}  // namespace shoal::p2p
