// The store's own choice: choose_victims() on a sample, Departed for those that come back. Modelled are only the index
// (a record of each blob, sampled evenly: digests are spread so) and the evictor's loop.
#include <algorithm>
#include <array>
#include <random>
#include <unordered_map>

#include "policy.h"
#include "random.h"
#include "shoal/store/evict.h"

namespace shoal::sim {
namespace {

constexpr std::size_t kSample = store::kSampleRuns * store::kSampleRunLength;

base::Digest digest_of(std::uint32_t blob) {
  std::mt19937_64 bits(blob);
  std::array<std::uint8_t, 32> raw{};
  for (auto& byte : raw) byte = static_cast<std::uint8_t>(bits());
  return base::Digest::from_bytes(base::HashAlgorithm::sha256, raw);
}

base::WallTime wall(Moment now) {
  constexpr std::chrono::hours kBegin(24 * 365 * 50);
  return base::WallTime(kBegin + std::chrono::milliseconds(static_cast<std::int64_t>(now.at * 1e3)));
}

class Shipped final : public Policy {
 public:
  Shipped(const Trace& trace, std::uint64_t seed) : trace_(trace), random_(seed) {}

  void hit(std::uint32_t blob, Moment now) override {
    auto& record = index_[places_.at(blob)].record;
    record.last_use = wall(now);
    ++record.uses;
  }

  void insert(std::uint32_t blob, Moment now) override {
    const auto digest = digest_of(blob);
    const store::BlobRecord record{
        .size = trace_.sizes[blob], .last_use = wall(now), .uses = departed_.take(digest) + 1};
    places_[blob] = index_.size();
    blobs_.push_back(blob);
    index_.push_back({digest, record, false});
  }

  std::vector<std::uint32_t> evict(std::uint64_t, Moment now) override {
    const auto places = sample_places();
    std::vector<store::Candidate> sample;
    for (const auto place : places) sample.push_back(index_[place]);
    const auto place = places[store::choose_victims(sample, UINT64_MAX, wall(now)).front()];
    const auto gone = blobs_[place];
    departed_.remember(index_[place].digest, index_[place].record.uses);
    places_[blobs_.back()] = place;
    std::swap(blobs_[place], blobs_.back());
    std::swap(index_[place], index_.back());
    blobs_.pop_back();
    index_.pop_back();
    places_.erase(gone);
    return {gone};
  }

 private:
  std::vector<std::size_t> sample_places() {
    std::vector<std::size_t> places;
    while (places.size() < std::min(kSample, index_.size())) {
      const std::size_t place = index_.size() <= kSample ? places.size() : random_.below(index_.size());
      if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
    }
    return places;
  }

  const Trace& trace_;
  Random random_;
  store::Departed departed_;
  std::vector<store::Candidate> index_;
  std::vector<std::uint32_t> blobs_;  // by place in index_
  std::unordered_map<std::uint32_t, std::size_t> places_;
};

}  // namespace

std::unique_ptr<Policy> make_shipped(const Trace& trace, std::uint64_t seed) {
  return std::make_unique<Shipped>(trace, seed);
}

}  // namespace shoal::sim
