// SiteTicket: this node's part in bringing one blob: whom it asks about it, and the lease. On the fill's loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core.h"
#include "shoal/fetch/client.h"

namespace shoal::p2p {

class SiteTicket final : public Ticket {
 public:
  SiteTicket(Site::Core& core, base::Loop& loop, fetch::Client& client, const base::Digest& digest,
             std::optional<std::uint64_t> size, base::UniqueFunction<void()> lost);
  ~SiteTicket() override;
  void ask(std::vector<std::string> avoid, base::UniqueFunction<void(Answer)> done) override;
  void progress() override;
  void complete() override;

 private:
  void consider();
  void ask_next();
  void ask_own_tracker();
  void told(const std::string& id);
  void heard(const std::string& id, base::Result<Advice> advice);
  void answer(Answer answer);
  void hold();
  void let_go();

  Site::Core& core_;
  base::Loop& loop_;
  fetch::Client& client_;
  base::Digest digest_;
  std::optional<std::uint64_t> size_;
  // Shared with the lease's registration, which is called from the home loop.
  std::shared_ptr<base::UniqueFunction<void()>> lost_;
  base::UniqueFunction<void(Answer)> done_;
  std::vector<std::string> avoid_;
  std::vector<std::pair<std::string, std::string>> candidates_;  // id, URL; still to be asked
  std::string last_error_;
  fetch::Transfer call_;
  base::Timer timer_;
  base::SteadyTime asked_{};
  std::uint64_t lease_ = 0;  // 0: none
  bool complete_ = false;
  std::vector<std::string> told_;  // trackers that know of our interest: few, those that answered first
  base::Lifetime life_;
};

}  // namespace shoal::p2p
