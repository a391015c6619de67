// Wire: HTTP between simulated nodes, in place of src/fetch/client.cc and the product's HTTP server (the linker takes
// this fetch::Client). Requests reach the other node's http::Handler, bodies are pulled from its ByteSources at the
// pace of the links. A client is told which node it is by its user agent: "node 3".
#pragma once

#include <list>
#include <memory>

#include "net.h"
#include "shoal/fetch/client.h"

namespace shoal::sim {

class Exchange;

// "sha256:..." in a path; "" if there is none.
[[nodiscard]] std::string digest_in(const std::string& target);

class Wire {
 public:
  Wire(World& world, Net& net);
  ~Wire();
  [[nodiscard]] static Wire& current();
  [[nodiscard]] static fetch::ClientOptions options_of(int node);

  [[nodiscard]] std::unique_ptr<fetch::Transfer::Impl> start(int from, fetch::Request request, fetch::Sink& sink);
  void sever(int node);  // all that the node has to do with ends: for it at once, for others when they notice
  // A fill of this node and blob ended, or bytes of it came: who failed before may be asked again.
  void forgive(int node, const std::string& digest);
  [[nodiscard]] std::size_t open() const { return exchanges_.size(); }
  [[nodiscard]] std::string open_targets() const;

  World& world;
  Net& net;

  // What happened.
  struct Counts {
    std::uint64_t calls = 0, failed = 0, spoilt_frames = 0, spoilt_answers = 0;
  } counts;
  std::map<int, unsigned> wants;  // questions to trackers, by node, since somebody looked

 private:
  friend class Exchange;
  void ended(const Exchange& exchange);
  void note_failure(int from, int to, const std::string& target);
  std::list<std::shared_ptr<Exchange>> exchanges_;
  std::map<std::tuple<int, int, std::string>, unsigned> failures_;  // in a row: who, whom, blob
};

}  // namespace shoal::sim
