#include "swarmed_blob.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "blame.h"
#include "piece_choice.h"
#include "shoal/base/disk_error.h"
#include "shoal/obs/log.h"
#include "swarm.h"

namespace shoal::p2p {
namespace {

using obs::Category;

constexpr std::uint64_t kHashBatch = 4 << 20;  // bytes a turn of the pool
constexpr std::uint32_t kAhead = 128;          // pieces from where readers are that matter most. Measured: DESIGN 8
constexpr std::uint32_t kWindowStep = 8;       // pieces that the window lags behind, or a 128th of all
constexpr std::chrono::milliseconds kShortestLinger{10'000};
constexpr std::chrono::milliseconds kLongestLinger{120'000};

base::Result<std::vector<PieceHash>> hash_pieces(const base::File& file, std::uint64_t from, std::uint64_t to,
                                                 std::uint32_t length) {
  std::vector<PieceHash> hashes;
  std::string piece;
  for (std::uint64_t at = from; at < to; at += length) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(length, to - at)));
    std::size_t have = 0;
    while (have < piece.size()) {
      const auto n = ::pread(file.fd(), piece.data() + have, piece.size() - have, static_cast<off_t>(at + have));
      if (n < 0 && errno == EINTR) continue;
      if (n == 0) return base::Error(base::ErrorKind::corrupt, "the file ends early");
      if (n < 0 && !base::is_of_the_disk(errno)) return base::from_errno(errno, "read");
      if (n < 0) return base::Error(base::ErrorKind::corrupt, base::from_errno(errno, "read").message());
      have += static_cast<std::size_t>(n);
    }
    hashes.push_back(hash_of(piece));
  }
  return hashes;
}

}  // namespace

SwarmedBlob::SwarmedBlob(const Parts& parts, std::shared_ptr<SwarmLink> link)
    : parts_(parts),
      digest_(link->digest),
      size_(link->size),
      link_(std::move(link)),
      file_(link_->file),
      piece_length_(piece_length_for(size_)),
      pieces_(static_cast<std::uint32_t>((size_ + piece_length_ - 1) / piece_length_)),
      feed_(std::make_shared<MapFeed>()),
      good_(pieces_),
      told_(pieces_),
      advanced_(link_->have),
      began_(parts.home.now()),
      last_use_(began_),
      linger_(kShortestLinger) {}

SwarmedBlob::SwarmedBlob(const Parts& parts, const base::Digest& digest, std::uint64_t size,
                         std::shared_ptr<PieceFile> file, std::shared_ptr<void> lease, std::vector<MapEntry> map)
    : parts_(parts),
      digest_(digest),
      size_(size),
      file_(std::move(file)),
      lease_(std::move(lease)),
      piece_length_(piece_length_for(size_)),
      pieces_(static_cast<std::uint32_t>((size_ + piece_length_ - 1) / piece_length_)),
      feed_(std::make_shared<MapFeed>()),
      complete_(true),
      good_(pieces_, true),
      told_(pieces_, !map.empty()),
      prefix_(pieces_),
      advanced_(size),
      hashed_(map.empty() ? 0 : pieces_),
      began_(parts.home.now()),
      last_use_(began_),
      linger_(kShortestLinger) {
  feed_->push(map);
  feed_->set_spreads(true);
}

SwarmedBlob::~SwarmedBlob() {
  feed_->end();
  for (auto& waiting : waiting_) {
    waiting.subscriber.ready(base::Error(base::ErrorKind::gone, "the blob is not shared any more"));
  }
  if (link_) link_->set_claims(nullptr);
}

base::Result<void> SwarmedBlob::open() {
  ShareState state;
  state.complete = complete_;
  auto share = parts_.swarm.share({digest_, size_, piece_length_}, file_, state, *this);
  if (!share.ok()) return share.error();
  share_ = std::move(*share);
  for (const auto& entry : feed_->all()) share_->learn(entry.piece, entry.hash);
  if (link_) link_->set_claims(share_->claims());
  if (!complete_) {
    for (std::uint32_t i = 0; i < whole_pieces(advanced_); ++i) (void)share_->claims()->claim(i);  // here, to be hashed
    set_window();
  }
  hash_on();
  return {};
}

std::uint32_t SwarmedBlob::whole_pieces(std::uint64_t end) const {
  return end >= size_ ? pieces_ : static_cast<std::uint32_t>(end / piece_length_);
}

std::uint64_t SwarmedBlob::end_of(std::uint32_t pieces) const {
  return std::min(size_, std::uint64_t{pieces} * piece_length_);
}

void SwarmedBlob::follow(const std::vector<NodeInfo>& authors, const std::string& repository) {
  if (!share_) return;
  repository_ = repository;
  if (leading_) set_leading(false);
  // What upstream, or a neighbour over HTTP, was to bring, it does not bring now.
  for (std::uint32_t i = whole_pieces(advanced_); i < pieces_; ++i) share_->claims()->unclaim(i);
  drop_calls();
  forget_map();
  authors_ = authors;
  if (ready_) call_authors();
}

// What authors said that are left now, if nothing was taken on their word: the next one may say something else.
void SwarmedBlob::forget_map() {
  if (leading_ || from_peers_ > 0 || feed_->size() == 0) return;
  feed_->end();
  feed_ = std::make_shared<MapFeed>();
  good_.assign(pieces_, false);
  told_.assign(pieces_, false);
  hashed_ = prefix_ = windowed_ = 0;
  ready_ = false;
  share_.reset();
  if (auto opened = open(); !opened.ok()) on_trouble(opened.error());
}

// Who tells us nothing does not say either which stripe is ours: none is kept from us.
void SwarmedBlob::drop_calls() {
  calls_.clear();
  if (share_) share_->forget_authors();
}

void SwarmedBlob::call_authors() {
  for (const auto& author : std::exchange(authors_, {})) {
    const MapCall::Question question{digest_, repository_, size_, pieces_, parts_.swarm.port()};
    MapCall::Taker& taker = *this;
    calls_.push_back(std::make_unique<MapCall>(parts_.core, parts_.client, author, question, taker));
  }
}

// Of pieces whose entry is known, neighbours have what there is; the others are upstream's to bring.
void SwarmedBlob::lead() {
  authors_.clear();
  drop_calls();
  if (share_) forget_map();
  if (!share_) return;
  set_leading(true);
  for (std::uint32_t i = 0; i < pieces_; ++i) {
    if (!good_[i] && !share_->entry(i)) (void)share_->claims()->claim(i);
  }
  hash_on();
}

void SwarmedBlob::set_leading(bool leading) {
  leading_ = leading;
  if (leading) share_->set_stripe({}, {});
  feed_->set_spreads(leading);
}

void SwarmedBlob::advance(std::uint64_t end) {
  advanced_ = std::max(advanced_, std::min(end, size_));
  move_on();  // peers may have brought what follows
  hash_on();
}

void SwarmedBlob::complete(std::shared_ptr<void> lease) {
  complete_ = true;
  if (share_) share_->verified();
  feed_->set_spreads(true);
  lease_ = std::move(lease);
  authors_.clear();
  calls_.clear();
  advanced_ = size_;
  last_use_ = parts_.home.now();
  // Slower nodes of the herd may still want what this one has.
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(last_use_ - began_);
  linger_ = std::clamp(took, kShortestLinger, kLongestLinger);
  hash_on();
}

// What upstream brought, or an earlier run: its entries are ours to make. Who follows compares with what it is told.
void SwarmedBlob::hash_on() {
  if (hashing_ || !share_) return;
  const auto whole = whole_pieces(advanced_);
  while (hashed_ < whole && told_[hashed_] && good_[hashed_]) ++hashed_;
  const auto may = [this](std::uint32_t piece) { return leading_ || complete_ || share_->entry(piece).has_value(); };
  auto end = hashed_;
  while (end < whole && may(end) && !(told_[end] && good_[end]) &&
         std::uint64_t{end - hashed_} * piece_length_ < kHashBatch) {
    ++end;
  }
  if (end == hashed_) return;
  hashing_ = true;
  parts_.core.pool.post([file = file_->file(), from = std::uint64_t{hashed_} * piece_length_, to = end_of(end),
                         length = piece_length_, first = hashed_, &home = parts_.home, watch = life_.watch(), this] {
    home.post([hashes = hash_pieces(*file, from, to, length), first, watch, this] {
      if (!watch.gone()) hashed(first, hashes);
    });
  });
}

void SwarmedBlob::hashed(std::uint32_t first, const base::Result<std::vector<PieceHash>>& hashes) {
  hashing_ = false;
  if (!share_) return;
  if (!hashes.ok()) return on_trouble(hashes.error());
  std::vector<MapEntry> entries;
  auto piece = first;
  for (const auto& hash : *hashes) {
    share_->learn(piece, hash);
    if (share_->entry(piece) == hash) {
      if (!good_[piece]) share_->have(piece);
      good_[piece] = true;
      if (!told_[piece]) entries.push_back({piece, hash});
      told_[piece] = true;
    } else {
      return contradicted(piece);
    }
    ++piece;
  }
  hashed_ = std::max(hashed_, piece);
  feed_->push(entries);
  move_on();
  hash_on();
}

// Two that should know say different things about a piece, or what is here is not what the map says. One of them is
// wrong, and perhaps what came before: the fill begins again.
void SwarmedBlob::contradicted(std::uint32_t piece) {
  const auto why = base::Error(base::ErrorKind::corrupt, "neighbours do not agree what a piece is")
                       .at("piece", std::to_string(piece));
  // Later: a call that is just telling us must not be dropped inside.
  parts_.home.post([why, watch = life_.watch(), this] {
    if (!watch.gone()) leave(why);
  });
}

void SwarmedBlob::move_on() {
  const auto before = prefix_;
  while (prefix_ < pieces_ && (good_[prefix_] || prefix_ < whole_pieces(advanced_))) ++prefix_;
  if (prefix_ == before) return;
  if (prefix_ - windowed_ >= std::max(kWindowStep, pieces_ / 128)) set_window();
  const auto end = end_of(prefix_);
  if (!link_ || complete_ || end <= advanced_) return;
  link_->tell(link_, [end](SwarmTaker& taker) { taker.on_swarm_bytes(end); });
}

void SwarmedBlob::set_window() {
  if (!share_) return;
  windowed_ = prefix_;
  share_->set_window(prefix_, kAhead);
}

void SwarmedBlob::on_ready() {
  ready_ = true;
  call_authors();
  while (!waiting_.empty()) {
    auto waiting = std::move(waiting_.front());
    waiting_.pop_front();
    serve(std::move(waiting));
  }
}

void SwarmedBlob::on_piece(std::uint32_t piece) {
  const auto size = end_of(piece + 1) - std::uint64_t{piece} * piece_length_;
  from_peers_ += size;
  good_[piece] = true;
  if (link_ && !complete_) link_->tell(link_, [](SwarmTaker& taker) { taker.on_swarm_piece(); });
  move_on();
}

void SwarmedBlob::on_bad_piece(std::uint32_t piece, const std::string& node) {
  obs::warn(Category::p2p, "{}: node {} sent a piece ({}) that is not what it should be; it is banned for a while",
            digest_.to_string(), node, piece);
}

// Whose word it was cannot be told apart: none of them is believed any more.
void SwarmedBlob::on_bad_map(std::uint32_t piece) {
  obs::warn(Category::p2p, "{}: several nodes agree that piece {} is another than the map says", digest_.to_string(),
            piece);
  if (calls_.empty()) return;
  drop_calls();
  if (!link_ || complete_) return;
  link_->tell(link_, [](SwarmTaker& taker) {
    taker.on_swarm_lost(base::Error(base::ErrorKind::corrupt, "a neighbour tells wrong pieces"));
  });
}

void SwarmedBlob::on_map_missing(std::uint32_t piece) {
  obs::debug(Category::p2p, "{}: piece {} came, but nobody says what it should be", digest_.to_string(), piece);
}

void SwarmedBlob::on_trouble(const base::Error& error) {
  // The file of a fill is not in the store yet: nothing comes of it there.
  if (error.kind() == base::ErrorKind::corrupt) parts_.core.store.report_unreadable(digest_, *file_->file(), error);
  leave(error);
}

void SwarmedBlob::leave(const base::Error& error) {
  obs::warn(Category::p2p, "{} is not shared: {}", digest_.to_string(), error.message());
  feed_->end();
  linger_ = std::chrono::milliseconds(0);
  followers_.clear();
  calls_.clear();
  if (!link_ || complete_) return;
  link_->tell(link_, [error](SwarmTaker& taker) { taker.on_swarm_failed(error); });
}

void SwarmedBlob::on_author(const NodeInfo& author, bool proven) {
  if (link_) {
    link_->tell(link_, [author, proven](SwarmTaker& taker) { taker.on_swarm_start(author, proven); });
  }
}

void SwarmedBlob::on_author_lost(const NodeInfo& author, base::Error why) {
  obs::debug(Category::p2p, "{}: the map of {}: {}", digest_.to_string(), author.url, why.message());
  if (share_) share_->forget_author(author.id);
  // A copy: `author` is the call's own, which goes here.
  std::erase_if(calls_, [id = author.id](const auto& call) { return call->author().id == id; });
  if (!calls_.empty() || !link_ || complete_ || leading_) return;
  link_->tell(link_, [why = std::move(why)](SwarmTaker& taker) { taker.on_swarm_lost(why); });
}

void SwarmedBlob::on_entries(const std::vector<MapEntry>& entries) {
  std::vector<MapEntry> news;
  for (const auto& entry : entries) {
    share_->learn(entry.piece, entry.hash);
    if (share_->entry(entry.piece) != entry.hash) return contradicted(entry.piece);
    if (told_[entry.piece]) continue;
    told_[entry.piece] = true;
    news.push_back(entry);
  }
  feed_->push(news);
  hash_on();
}

// Of several authors it is the last one's place that counts. Who fetches no more stays an author, but a node like any
// other: all that it has is heard, and what it said before.
void SwarmedBlob::on_place(const PeerAddress& swarm, const MapPlace& place) {
  share_->set_stripe(stripe_of(place.rank, place.of), place.spreads ? swarm.id : std::string());
  if (!place.spreads) share_->forget_author(swarm.id);
  if (place.direct && !swarm.ip.empty()) share_->connect(swarm.ip, swarm.port, swarm.id);  // no ip: it calls us
  const auto self = parts_.core.self().id;
  for (const auto& peer : place.peers) {
    if (peer.id != self) share_->connect(peer.ip, peer.port, peer.id);
  }
}

}  // namespace shoal::p2p
