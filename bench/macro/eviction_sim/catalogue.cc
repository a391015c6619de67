#include "catalogue.h"

namespace shoal::sim {

std::uint32_t add_layer(Trace& trace, Random& random, double median) {
  constexpr double kSigma = 2.15;  // ln(63/4) / 1.2816
  const double size = std::clamp(random.log_normal(median, kSigma), 120.0, 3e9);
  trace.sizes.push_back(static_cast<std::uint64_t>(size));
  return static_cast<std::uint32_t>(trace.sizes.size() - 1);
}

Catalogue::Catalogue(Trace& trace, Random& random, std::size_t repositories) : trace_(trace), random_(random) {
  const std::size_t bases = std::max<std::size_t>(4, repositories / 8);
  for (std::size_t i = 0; i < bases; ++i) bases_.push_back(new_base());
  const Zipf popular(bases, 1.0);
  for (std::size_t i = 0; i < repositories; ++i) {
    const auto base = popular(random_);
    repos_.push_back({base, {first_version(base)}});
  }
}

std::vector<std::uint32_t> Catalogue::new_base() {
  std::vector<std::uint32_t> layers{add_layer(trace_, random_, 25e6)};
  for (auto more = random_.between(0, 4); more > 0; --more) layers.push_back(add_layer(trace_, random_));
  return layers;
}

std::uint32_t Catalogue::new_config() {
  trace_.sizes.push_back(random_.between(2'000, 12'000));
  return static_cast<std::uint32_t>(trace_.sizes.size() - 1);
}

Catalogue::Image Catalogue::first_version(std::uint32_t base) {
  Image image{bases_[base], bases_[base].size()};
  for (auto own = random_.between(2, 8); own > 0; --own) image.layers.push_back(add_layer(trace_, random_));
  image.layers.push_back(new_config());
  return image;
}

void Catalogue::release(std::uint32_t repository) {
  auto& repo = repos_[repository];
  const auto& last = repo.versions.back();
  const bool same_base = std::equal(bases_[repo.base].begin(), bases_[repo.base].end(), last.layers.begin(),
                                    last.layers.begin() + static_cast<std::ptrdiff_t>(last.shared));
  if (!same_base || random_.chance(0.1)) return repo.versions.push_back(first_version(repo.base));
  Image next = last;
  const std::size_t own = next.layers.size() - 1 - next.shared;  // without the config
  const auto changed = random_.between(1, static_cast<std::uint32_t>(std::min<std::size_t>(own, 3)));
  for (std::size_t i = 0; i < changed; ++i) next.layers[next.layers.size() - 2 - i] = add_layer(trace_, random_);
  next.layers.back() = new_config();
  repo.versions.push_back(std::move(next));
}

void Catalogue::rebuild_base() { bases_[random_.below(bases_.size())] = new_base(); }

const Catalogue::Image& Catalogue::image(std::uint32_t repository, std::uint32_t back) const {
  const auto& versions = repos_[repository].versions;
  return versions[versions.size() - 1 - std::min<std::size_t>(back, versions.size() - 1)];
}

}  // namespace shoal::sim
