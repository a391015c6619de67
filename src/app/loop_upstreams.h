// LoopUpstreams: one loop's Registry for each reachable registry, made on first use. That loop only.
//
// Registries of patterns, whose names clients choose, go again: those that were not asked for lately, or when there are
// more than the loop's share; never one that somebody holds. See UpstreamStates.
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
  static constexpr std::chrono::minutes kIdle{10};

  // `home` asks for tokens on behalf of all loops.
  LoopUpstreams(UpstreamStates& states, base::Loop& loop, fetch::Client& client, base::Loop& home,
                fetch::Client& home_client)
      : states_(states), loop_(loop), client_(client), home_(home), home_client_(home_client) {}

  [[nodiscard]] std::shared_ptr<upstream::Registry> find(std::string_view registry) override;
  void drop_idle();
  void close();  // drops them all, and finds none any more; after everything that called them
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::shared_ptr<upstream::Registry> registry;  // shared with what uses it: fills, questions
    bool reachable = true;
    bool instance = false;
    base::SteadyTime last_use{};
  };
  using Entries = std::map<std::string, Entry, std::less<>>;
  void look_again();
  void make_room();
  bool drop(Entries::iterator entry);  // false: it has to stay

  UpstreamStates& states_;
  base::Loop& loop_;
  fetch::Client& client_;
  base::Loop& home_;
  fetch::Client& home_client_;
  Entries entries_;
  std::uint64_t generation_ = 0;
  bool closed_ = false;
};

}  // namespace shoal::app
