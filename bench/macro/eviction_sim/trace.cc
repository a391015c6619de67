#include "trace.h"

#include <unordered_set>

#include "catalogue.h"

namespace shoal::sim {
namespace {

struct Making {  // one trace, and what it is made of
  Trace trace;
  Random random;
  Making(std::string name, std::uint64_t seed) : trace{std::move(name), {}, {}, 0}, random(seed) {}

  void ask(double at, std::uint32_t blob) { trace.requests.push_back({at, blob}); }

  // A node that has the base image already asks for the rest only.
  void pull(double at, const Catalogue::Image& image, bool has_base) {
    for (std::size_t i = has_base ? image.shared : 0; i < image.layers.size(); ++i) {
      ask(at + random.unit() * 20, image.layers[i]);
    }
  }

  // By one node, or by the nodes of a cluster one after the other.
  void deploy(double at, const Catalogue::Image& image, double herds) {
    const auto nodes = random.chance(herds) ? random.between(3, 30) : 1;
    for (std::uint32_t i = 0; i < nodes; ++i) {
      const double start = at + random.unit() * 600;
      pull(start, image, random.chance(0.5));
    }
  }

  // Mostly of its newest version.
  const Catalogue::Image& pick(const Catalogue& catalogue, const Zipf& popular) {
    const auto repository = popular(random);
    return catalogue.image(repository, random.chance(0.85) ? 0 : random.between(1, 8));
  }

  Trace finish() {
    std::stable_sort(trace.requests.begin(), trace.requests.end(),
                     [](const Request& a, const Request& b) { return a.at < b.at; });
    std::unordered_set<std::uint32_t> seen;
    for (const auto& request : trace.requests) {
      if (seen.insert(request.blob).second) trace.footprint += trace.sizes[request.blob];
    }
    return std::move(trace);
  }
};

std::size_t scaled(double scale, double n) { return std::max<std::size_t>(8, static_cast<std::size_t>(scale * n)); }

Trace zipf(std::uint64_t seed, double scale) {
  Making making("zipf", seed);
  const auto blobs = scaled(scale, 6'000);
  const double asks = 150'000 * scale, days = 30;
  const Zipf rank(blobs, 0.85);
  std::vector<std::uint32_t> ranks;
  for (std::size_t i = 0; i < blobs; ++i) ranks.push_back(add_layer(making.trace, making.random));
  double shift = 3 * kDay;
  for (double at = 0; at < days * kDay; at += making.random.exponential(days * kDay / asks)) {
    making.ask(at, ranks[rank(making.random)]);
    if (at < shift) continue;
    shift += 3 * kDay;
    for (auto& blob : ranks) {
      if (making.random.chance(0.25)) blob = add_layer(making.trace, making.random);
    }
  }
  return making.finish();
}

Trace images(std::uint64_t seed, double scale) {
  Making making("images", seed);
  Catalogue catalogue(making.trace, making.random, scaled(scale, 600));
  const Zipf popular(catalogue.repositories(), 0.9);
  const double days = 45, pulls = 4'500 * scale;
  const double releases = 4'000 * scale, bases = 80 * scale;
  const double events = pulls + releases + bases;
  for (double at = 0; at < days * kDay; at += making.random.exponential(days * kDay / events)) {
    const double what = making.random.unit() * events;
    if (what < releases) {
      catalogue.release(popular(making.random));
    } else if (what < releases + bases) {
      catalogue.rebuild_base();
    } else {
      making.deploy(at, making.pick(catalogue, popular), 0.2);
    }
  }
  return making.finish();
}

Trace scans(std::uint64_t seed, double scale) {
  Making making("scans", seed);
  Catalogue catalogue(making.trace, making.random, scaled(scale, 400));
  const Zipf popular(catalogue.repositories(), 0.9);
  const double days = 30, pulls = 6'000 * scale;
  double night = 3 * kHour;
  int nights = 0;
  for (double at = 0; at < days * kDay; at += making.random.exponential(days * kDay / pulls)) {
    if (making.random.chance(0.3)) catalogue.release(popular(making.random));
    making.deploy(at, making.pick(catalogue, popular), 0.1);
    if (at < night) continue;
    if (nights++ % 7 == 6) {  // every image there is, in order
      for (std::uint32_t i = 0; i < catalogue.repositories(); ++i)
        making.pull(night + i * 20, catalogue.image(i, 0), false);
    } else {
      for (std::size_t i = 0; i < scaled(scale, 500); ++i) {
        making.ask(night + static_cast<double>(i) * 5, add_layer(making.trace, making.random, 12e6));
      }
    }
    night += kDay;
  }
  return making.finish();
}

Trace daily(std::uint64_t seed, double scale) {
  Making making("daily", seed);
  Catalogue catalogue(making.trace, making.random, scaled(scale, 500));
  const auto ci = static_cast<std::uint32_t>(catalogue.repositories() / 5);  // the first are CI's
  const Zipf popular(catalogue.repositories(), 0.8);
  for (int day = 0; day < 35; ++day) {
    const double morning = day * kDay;
    const bool weekend = day % 7 >= 5;
    for (std::uint32_t i = 0; i < ci; ++i) {  // each runner pulls what it needs
      const auto runners = making.random.between(1, 4);
      for (std::uint32_t r = 0; r < runners; ++r) {
        making.pull(morning + 2 * kHour + making.random.unit() * 2 * kHour, catalogue.image(i, 0), false);
      }
      if (making.random.chance(0.15)) catalogue.release(i);
    }
    const double pulls = scale * (weekend ? 12 : 130);
    for (double n = 0; n < pulls; ++n) {
      const double hour = 8 + 5 * (making.random.unit() + making.random.unit());  // most at one o'clock
      if (making.random.chance(0.4)) catalogue.release(popular(making.random));
      making.deploy(morning + hour * kHour, making.pick(catalogue, popular), 0.1);
    }
  }
  return making.finish();
}

Trace mix(const std::vector<Trace>& parts) {
  Making making("mix", 0);
  for (const auto& part : parts) {
    const auto first = static_cast<std::uint32_t>(making.trace.sizes.size());
    making.trace.sizes.insert(making.trace.sizes.end(), part.sizes.begin(), part.sizes.end());
    for (const auto& request : part.requests) making.ask(request.at, first + request.blob);
  }
  return making.finish();
}

}  // namespace

std::vector<Trace> make_traces(std::uint64_t seed, double scale) {
  std::vector<Trace> traces{zipf(seed, scale), images(seed + 1, scale), scans(seed + 2, scale), daily(seed + 3, scale)};
  traces.push_back(mix(traces));
  return traces;
}

}  // namespace shoal::sim
