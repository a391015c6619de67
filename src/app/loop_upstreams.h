// LoopUpstreams: one loop's Registry for each reachable registry, made on first use. That loop only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "shoal/fetch/client.h"
#include "shoal/mirror/mirror.h"
#include "upstream_states.h"

namespace shoal::app {

class LoopUpstreams final : public mirror::UpstreamSet {
 public:
  // `home` asks for tokens on behalf of all loops.
  LoopUpstreams(UpstreamStates& states, base::Loop& loop, fetch::Client& client, base::Loop& home,
                fetch::Client& home_client)
      : states_(states), loop_(loop), client_(client), home_(home), home_client_(home_client) {}

  [[nodiscard]] upstream::Registry* find(std::string_view registry) override;
  void close();  // drops them all, and finds none any more; after everything that called them

 private:
  struct Entry {
    std::unique_ptr<upstream::Registry> registry;  // stays: fills may use it after a reload took it away
    bool reachable = true;
  };
  UpstreamStates& states_;
  base::Loop& loop_;
  fetch::Client& client_;
  base::Loop& home_;
  fetch::Client& home_client_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::uint64_t generation_ = 0;
  bool closed_ = false;
};

}  // namespace shoal::app
