// Roster: who is there. Announces this node to every tracker, about once a second, with all that there is to say about
// blobs in one message; hears which nodes and trackers there are; makes the View that questions are ranked by.
//
// A tracker is alive from its first answer until it fails to give one. Blobs are told to the two trackers that rank
// first for them, so that the second knows when the first goes. A tracker that has forgotten us is told all we hold
// again. Home loop only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core.h"

namespace shoal::p2p {

class Roster {
 public:
  Roster(Site::Core& core, base::Loop& home, fetch::Client& client);
  ~Roster();
  [[nodiscard]] base::Loop& home() { return home_; }  // any thread
  void start();
  // Tells the trackers that this node leaves; `left` when they heard or after the call's timeout.
  void stop(base::UniqueFunction<void()> left);

 private:
  struct Link;  // to one tracker
  void tick();
  void resolve();
  void resolved(std::vector<std::string> urls);
  void learn(const std::string& url);
  void sort_news();
  void tell_own_tracker(const Site::Core::Outbox& news);
  void take_back_leases(Link& link);
  void announce(Link& link, bool leaving);
  void answered(const std::string& url, base::Result<fetch::Client::Reply> reply);
  void heard(Link& link, AnnounceAnswer answer);
  void hurry(Link& link);
  void failed(Link& link, const base::Error& error);
  void tell_all_again(Link& link);
  void retold(const std::string& url, std::vector<base::Digest> held, bool more);
  void publish();
  [[nodiscard]] bool is_of(const Link& link, const base::Digest& digest) const;
  [[nodiscard]] bool decides(const Link& link, const base::Digest& digest) const;

  Site::Core& core_;
  base::Loop& home_;
  fetch::Client& client_;
  std::map<std::string, std::unique_ptr<Link>> links_;  // by URL
  std::set<std::string> learned_;                       // URLs that other trackers named
  std::vector<std::string> alive_ids_;
  base::Timer timer_;
  bool stopping_ = false;
  bool resolving_ = false;
  base::SteadyTime resolve_at_{};
  std::size_t goodbyes_ = 0;
  base::UniqueFunction<void()> left_;
  base::Timer left_timer_;
  base::Lifetime life_;
};

// The URLs that the entries of SiteOptions::trackers stand for now; `scheme` ("http://") where an entry tells none.
// Blocks (names, files): pool only.
[[nodiscard]] std::vector<std::string> resolve_trackers(const std::vector<std::string>& entries,
                                                        std::string_view scheme);

}  // namespace shoal::p2p
