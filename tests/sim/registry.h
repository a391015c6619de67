// The upstream registry of the simulated site, behind one uplink that all nodes share, and each node's view of it. It
// can be down, silent, slow, for all or for one node, cut answers in the middle, and send wrong bytes.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "shoal/mirror/mirror.h"
#include "world.h"

namespace shoal::sim {

class Upstream {
 public:
  enum class Path { open, refused, silent };
  static constexpr const char* kName = "docker.io";
  static constexpr const char* kRepository = "library/app";

  Upstream(World& world, int nodes);
  base::Digest put_blob(std::string bytes);
  base::Digest put_manifest(const std::string& tag, std::string bytes);
  [[nodiscard]] const std::string& blob(const base::Digest& digest) const { return *blobs_.at(digest.to_string()); }

  void set_path(int node, Path path);
  [[nodiscard]] Path path(int node) const { return paths_[static_cast<std::size_t>(node)].now; }
  // Was it open, and its bytes right, at every moment since then?
  [[nodiscard]] bool sound_since(int node, base::SteadyTime then) const;
  void set_wrong(bool on);  // bytes of blobs are spoilt
  void cut_next(unsigned answers) { cuts_ = answers, last_wrong_ = world_.now(); }

  std::uint64_t rate = 2'000'000;  // bytes a second, of the uplink
  std::chrono::milliseconds latency{20};

  struct Get {
    int node;
    std::string digest;
    std::uint64_t offset;
    std::uint64_t sent = 0;
    base::SteadyTime when;
  };
  std::vector<Get> gets;                      // of blobs
  std::map<int, std::uint64_t> gets_of_life;  // by node, of the life it has now
  std::uint64_t manifest_gets = 0, heads = 0;
  bool ever_wrong = false;

 private:
  friend class BlobAnswer;
  friend class SimRegistry;
  struct PathState {
    Path now = Path::open;
    base::SteadyTime last_bad{};
  };
  World& world_;
  std::vector<PathState> paths_;
  std::map<std::string, std::shared_ptr<const std::string>> blobs_;
  std::map<std::string, std::string> manifests_;  // by tag and by digest
  bool wrong_ = false;
  base::SteadyTime last_wrong_{};
  unsigned cuts_ = 0;
  base::SteadyTime busy_until_{};
};

class SimRegistry final : public upstream::Registry {
 public:
  SimRegistry(Upstream& upstream, int node);
  [[nodiscard]] const upstream::UpstreamOptions& options() const override { return options_; }
  [[nodiscard]] upstream::Health health() const override { return {}; }
  [[nodiscard]] upstream::Call head_manifest(std::string_view repository, std::string_view reference,
                                             Done<upstream::ManifestHead> done) override;
  [[nodiscard]] upstream::Call get_manifest(std::string_view repository, std::string_view reference,
                                            Done<upstream::Manifest> done) override;
  [[nodiscard]] upstream::Call head_blob(std::string_view repository, const base::Digest& digest,
                                         Done<upstream::BlobHead> done) override;
  [[nodiscard]] upstream::Call get_blob(std::string_view repository, const base::Digest& digest, std::uint64_t offset,
                                        std::optional<std::uint64_t> expected_size, unsigned source,
                                        upstream::BlobSink& sink) override;
  [[nodiscard]] upstream::Call list_tags(std::string_view, std::string_view, Done<upstream::TagPage> done) override;
  [[nodiscard]] upstream::Call referrers(std::string_view, const base::Digest&, std::string_view,
                                         Done<upstream::TagPage> done) override;
  void report_corrupt(std::string_view) override { ++corrupt_reports; }
  unsigned corrupt_reports = 0;

 private:
  template <class T>
  [[nodiscard]] upstream::Call reply(upstream::Outcome<T> outcome, Done<T> done);
  Upstream& upstream_;
  const int node_;
  upstream::UpstreamOptions options_;
};

class SimUpstreams final : public mirror::UpstreamSet {
 public:
  SimUpstreams(Upstream& upstream, int node) : registry_(std::make_shared<SimRegistry>(upstream, node)) {}
  [[nodiscard]] std::shared_ptr<upstream::Registry> find(std::string_view name) override {
    return name == Upstream::kName ? registry_ : nullptr;
  }

 private:
  std::shared_ptr<SimRegistry> registry_;  // shared with the mirror's fills
};

}  // namespace shoal::sim
