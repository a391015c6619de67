#include "swarm_desk.h"

#include <algorithm>

#include "shoal/obs/log.h"
#include "swarm.h"

namespace shoal::p2p {
namespace {

using obs::Category;

constexpr std::chrono::milliseconds kSweep{500};
constexpr std::chrono::milliseconds kPace{200};
constexpr std::chrono::seconds kLookAtMemory{2};
constexpr std::chrono::milliseconds kSoon{500};  // a fill that the tracker named opens its blob within that time
constexpr std::size_t kMostAsked = 1'000;
constexpr std::size_t kMostMapEntries = 500'000;  // kept of blobs that nobody wants now, 36 bytes each

// A blob that is in the store: complete, read-only.
class StoredFile final : public PieceFile {
 public:
  explicit StoredFile(const store::OpenBlob& blob) : file_(blob.file()) {}
  [[nodiscard]] const std::shared_ptr<const base::File>& file() const override { return file_; }
  [[nodiscard]] base::Result<void> write(std::uint64_t, std::string_view) override {
    return base::Error(base::ErrorKind::bug, "a stored blob is not written");
  }

 private:
  std::shared_ptr<const base::File> file_;
};

}  // namespace

SwarmDesk::SwarmDesk(Site::Core& core, base::Loop& home, fetch::Client& streams)
    : core_(core), home_(home), streams_(streams), memory_(core.options.swarm.memory_pressure) {}

SwarmDesk::~SwarmDesk() { blobs_.clear(); }

void SwarmDesk::start(base::UniqueFunction<void(base::Result<std::uint16_t>)> listening) {
  const auto& settings = core_.options.swarm;
  SwarmOptions options;
  options.listen = settings.listen;
  options.port = settings.port;
  options.secret = core_.swarm_secret;
  options.node = core_.self().id;
  options.max_shares = settings.max_shares;
  options.max_connections = settings.max_connections;
  rates_ = core_.rates();
  options.upload_rate = rates_.upload;
  options.download_rate = rates_.download;
  options.memory = settings.memory;
  options.ban_time = settings.ban_time;
  options.allow = core_.options.allow;
  auto swarm = Swarm::make(std::move(options), home_, core_.probe, std::move(listening));
  if (!swarm.ok()) {
    obs::error(Category::p2p, "no swarm: {}", swarm.error().message());
    return;
  }
  swarm_ = std::move(*swarm);
  core_.probe.upload_left(rates_.upload);
  pace();
  sweep();
  if (core_.options.swarm.memory_pressure > 0) look_at_memory();
}

void SwarmDesk::stop(base::UniqueFunction<void()> stopped) {
  timer_.cancel();
  pace_timer_.cancel();
  memory_timer_.cancel();
  for (auto& asked : std::exchange(asked_, {})) {
    asked.done(base::Error(base::ErrorKind::cancelled, "the node stops"));
  }
  blobs_.clear();
  if (!swarm_) return home_.post(std::move(stopped));
  swarm_->stop(std::move(stopped));
}

SwarmedBlob::Parts SwarmDesk::parts() { return {core_, home_, streams_, *swarm_}; }

void SwarmDesk::open(const std::shared_ptr<SwarmLink>& link) {
  const auto fail = [&link](base::Error why) {
    link->tell(link, [why = std::move(why)](SwarmTaker& taker) { taker.on_swarm_failed(why); });
  };
  if (!swarm_) return fail(base::Error(base::ErrorKind::gone, "there is no swarm"));
  if (memory_.pressed()) return fail(base::Error(base::ErrorKind::busy, "memory is short: it comes whole"));
  close(link->digest);  // one that was stored, and is being fetched again: it was no good
  auto blob = std::make_unique<SwarmedBlob>(parts(), link);
  auto opened = blob->open();
  if (!opened.ok() && opened.error().kind() == base::ErrorKind::busy && close_one_unused()) opened = blob->open();
  if (!opened.ok()) return fail(opened.error());
  answer_waiting(*blobs_.emplace(link->digest, std::move(blob)).first->second);
}

// Of those that only wait whether somebody else wants them.
bool SwarmDesk::close_one_unused() {
  const SwarmedBlob* oldest = nullptr;
  for (const auto& [digest, blob] : blobs_) {
    if (blob->unused() && (oldest == nullptr || blob->last_use() < oldest->last_use())) oldest = blob.get();
  }
  if (oldest == nullptr) return false;
  close(base::Digest(oldest->digest()));
  return true;
}

void SwarmDesk::answer_waiting(SwarmedBlob& blob) {
  std::deque<Asked> later;
  for (auto& asked : std::exchange(asked_, {})) {
    if (asked.question.digest == blob.digest()) {
      answer(blob, std::move(asked));
    } else {
      later.push_back(std::move(asked));
    }
  }
  asked_ = std::move(later);
}

SwarmedBlob* SwarmDesk::find(const SwarmLink& link) {
  const auto it = blobs_.find(link.digest);
  return it != blobs_.end() && it->second->is_of(link) ? it->second.get() : nullptr;
}

void SwarmDesk::leave(const SwarmLink& link) {
  if (find(link) != nullptr) close(link.digest);
}

void SwarmDesk::close(const base::Digest& digest) {
  const auto it = blobs_.find(digest);
  if (it == blobs_.end()) return;
  KnownMap known{digest, it->second->whole_map()};
  blobs_.erase(it);
  if (known.entries.empty() || known.entries.size() > kMostMapEntries) return;
  map_entries_ += known.entries.size();
  maps_.push_front(std::move(known));
  while (map_entries_ > kMostMapEntries) {
    map_entries_ -= maps_.back().entries.size();
    maps_.pop_back();
  }
}

SwarmedBlob* SwarmDesk::stored(const base::Digest& digest, std::uint64_t size) {
  auto open = core_.store.open_blob(digest);
  if (!open.ok() || open->size() != size || size == 0) return nullptr;
  std::vector<MapEntry> map;
  const auto known = std::find_if(maps_.begin(), maps_.end(), [&](const auto& m) { return m.digest == digest; });
  if (known != maps_.end()) {
    map = std::move(known->entries);
    map_entries_ -= map.size();
    maps_.erase(known);
  }
  auto file = std::make_shared<StoredFile>(*open);
  auto lease = std::make_shared<store::OpenBlob>(std::move(*open));
  auto blob = std::make_unique<SwarmedBlob>(parts(), digest, size, std::move(file), std::move(lease), std::move(map));
  if (auto opened = blob->open(); !opened.ok()) {
    obs::info(Category::p2p, "{} is not shared: {}", digest.to_string(), opened.error().message());
    return nullptr;
  }
  return blobs_.emplace(digest, std::move(blob)).first->second.get();
}

void SwarmDesk::subscribe(MapQuestion question, MapAnswered done) {
  Asked asked{std::move(question), std::move(done), home_.now() + kSoon};
  const auto no = [&asked](base::ErrorKind kind, const char* why) { asked.done(base::Error(kind, why)); };
  if (!swarm_) return no(base::ErrorKind::not_found, "this node takes part in no swarm");
  const auto it = blobs_.find(asked.question.digest);
  if (it == blobs_.end() && memory_.pressed()) return no(base::ErrorKind::not_found, "memory is short here");
  auto* blob = it != blobs_.end() ? it->second.get() : stored(asked.question.digest, asked.question.size);
  if (blob != nullptr) return answer(*blob, std::move(asked));
  if (asked_.size() >= kMostAsked) return no(base::ErrorKind::busy, "too many neighbours wait");
  asked_.push_back(std::move(asked));
}

void SwarmDesk::answer(SwarmedBlob& blob, Asked asked) {
  const auto& question = asked.question;
  if (blob.size() != question.size) {
    return asked.done(base::Error(base::ErrorKind::not_found, "that blob has another size here"));
  }
  auto ready = [this, digest = question.digest,
                done = std::move(asked.done)](base::Result<SwarmedBlob::Subscription> subscription) mutable {
    if (!subscription.ok()) return done(subscription.error());
    // Not null: tells the desk when the last user lets go.
    std::shared_ptr<void> hold(this, [door = core_.door, digest, id = subscription->id](void*) {
      door->post(door, [digest, id](SwarmDesk& desk) { desk.unsubscribe(digest, id); });
    });
    done(MapAnswer{subscription->swarm_port, subscription->id, std::move(subscription->place),
                   std::move(subscription->feed), std::move(hold)});
  };
  blob.subscribe({question.peer, question.wants_call, std::move(ready)});
}

void SwarmDesk::unsubscribe(const base::Digest& digest, std::uint64_t id) {
  if (const auto it = blobs_.find(digest); it != blobs_.end()) it->second->unsubscribe(id);
}

// As clients leave it, and by the hour.
void SwarmDesk::pace() {
  if (const auto rates = core_.rates(); rates != rates_) {
    rates_ = rates;
    swarm_->set_rates(rates);
    core_.probe.upload_left(rates.upload);
    obs::debug(Category::p2p, "pieces: at most {} bytes a second to neighbours, {} from them (0: no limit)",
               rates.upload, rates.download);
  }
  pace_timer_ = home_.schedule(kPace, [this] { pace(); });
}

// What is in the swarm goes on; what is new comes and goes whole, out of the page cache.
void SwarmDesk::look_at_memory() {
  core_.pool.post([watch = life_.watch(), this, &home = home_] {
    home.post([watch, this, percent = memory_pressure().value_or(0)] {
      if (watch.gone()) return;
      if (memory_.measured(percent)) {
        core_.probe.pressed(memory_.pressed());
        obs::warn(Category::p2p, "{}: tasks waited for memory {} % of the last ten seconds",
                  memory_.pressed() ? "no blob is taken into the swarm" : "blobs are taken into the swarm again",
                  percent);
      }
      memory_timer_ = home_.schedule(kLookAtMemory, [this] { look_at_memory(); });
    });
  });
}

void SwarmDesk::sweep() {
  const auto now = home_.now();
  core_.set_bans(swarm_->bans());
  std::vector<base::Digest> idle;
  for (const auto& [digest, blob] : blobs_) {
    if (blob->idle(now)) idle.push_back(digest);
  }
  for (const auto& digest : idle) close(digest);
  while (!asked_.empty() && asked_.front().until <= now) {
    auto asked = std::move(asked_.front());
    asked_.pop_front();
    asked.done(base::Error(base::ErrorKind::not_found, asked.question.digest.to_string() + " is not shared here"));
  }
  timer_ = home_.schedule(kSweep, [this] { sweep(); });
}

std::vector<SwarmStatus> SwarmDesk::status() const {
  std::vector<SwarmStatus> all;
  all.reserve(blobs_.size());
  for (const auto& [digest, blob] : blobs_) all.push_back(blob->status());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.digest < b.digest; });
  return all;
}

void DeskDoor::open(base::Loop& home, SwarmDesk& desk) {
  const std::lock_guard lock(mutex_);
  home_ = &home;
  desk_ = &desk;
}

void DeskDoor::close() {
  const std::lock_guard lock(mutex_);
  home_ = nullptr;
  desk_ = nullptr;
}

bool DeskDoor::is_open() const {
  const std::lock_guard lock(mutex_);
  return home_ != nullptr;
}

}  // namespace shoal::p2p
