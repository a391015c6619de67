// NodePull: one image through one node, as a client pulls it: the manifest, of an index the one for the platform, then
// the blobs, a few at once; every byte is hashed and none is kept. On one loop; PullState is read from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "shoal/base/unique_function.h"
#include "shoal/fetch/client.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/platform.h"

namespace shoal::cli {

// The same for every node.
struct PullOrder {
  std::string repository;  // as after /v2/
  std::string reference;   // tag or digest
  std::string platform;    // "linux/arm64", or with a variant; "all"
  std::string authorization;
  fetch::TlsTrust tls;
};

struct PullState {
  std::string url;
  std::atomic<std::uint64_t> received{0}, expected{0};  // bytes of blobs
  std::atomic<bool> over{false};                        // then what follows may be read
  std::string digest;                                   // of the manifest under that name
  std::string error;                                    // "": it went well
  std::uint64_t blobs = 0;
  std::chrono::milliseconds took{0};
};

class NodePull {
 public:
  // `state` outlives this. `ended` runs once, on the loop, after state.over.
  NodePull(base::Loop& loop, fetch::Client& client, const PullOrder& order, PullState& state,
           base::UniqueFunction<void()> ended);
  ~NodePull();
  void start();

 private:
  class Blob;
  [[nodiscard]] fetch::Request request(const std::string& path) const;
  void next_manifest();
  void manifest_came(const std::string& reference, base::Result<fetch::Client::Reply> reply);
  [[nodiscard]] base::Result<void> take_manifest(const std::string& reference, const fetch::Client::Reply& reply);
  void next_blobs();
  void blob_ended(Blob& blob, base::Result<void> result);
  void finish(std::string error);

  base::Loop& loop_;
  fetch::Client& client_;
  const PullOrder& order_;
  PullState& state_;
  base::UniqueFunction<void()> ended_;
  base::SteadyTime began_{};
  std::deque<std::string> manifests_;  // to be asked for
  std::deque<registry::Descriptor> blobs_;
  std::set<std::string> seen_;  // digests
  std::uint64_t not_kept_ = 0;  // blobs that the node only passed on
  fetch::Transfer manifest_call_;
  std::vector<std::unique_ptr<Blob>> running_;
};

}  // namespace shoal::cli
