#include "net.h"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kShort = 8 * 1024;

}  // namespace

Net::Net(World& world, int hosts)
    : world_(world),
      hosts_(static_cast<std::size_t>(hosts)),
      pairs_(hosts_.size() * hosts_.size()),
      sends_until_(hosts_.size()),
      takes_until_(hosts_.size()) {}

int Net::node_at(std::string_view where) const {
  if (where.starts_with("http://")) where.remove_prefix(7);
  where = where.substr(0, where.find_first_of(":/"));
  for (int i = 0; i < static_cast<int>(hosts_.size()); ++i) {
    if (where == ip_of(i)) return i;
  }
  return kNobody;
}

void Net::cut(int a, int b, bool on) {
  for (Pair* both : {&pair(a, b), &pair(b, a)}) {
    both->cut = on;
    both->last_bad = world_.now();
  }
}

void Net::set_calls(int from, int to, Calls calls) {
  pair(from, to).calls = calls;
  pair(from, to).last_bad = world_.now();
}

Net::Calls Net::calls(int from, int to) const {
  if (from == to) return Calls::open;
  if (is_cut(from, to)) return Calls::swallowed;
  const auto& life = hosts_[static_cast<std::size_t>(to)].life;
  if (life == nullptr || !life->alive) return Calls::refused;
  return pair(from, to).calls;
}

bool Net::open_since(int from, int to, base::SteadyTime then) const {
  return calls(from, to) == Calls::open && (from == to || pair(from, to).last_bad < then);
}

void Net::note_trouble(int node) {
  for (int other = 0; other < size(); ++other) {
    pair(node, other).last_bad = pair(other, node).last_bad = world_.now();
  }
}

base::SteadyTime Net::carry(int from, int to, std::uint64_t bytes) {
  const auto time_for = [bytes](std::uint64_t rate) { return std::chrono::nanoseconds(bytes * 1'000'000'000 / rate); };
  if (from == to) return world_.now() + std::chrono::microseconds(10);
  // Links are shared fairly: what is short does not wait for all that is long.
  if (bytes <= kShort) {
    const auto rate = std::min(host(from).upload, host(to).download);
    return world_.now() + 4 * time_for(rate) + latency(from, to);
  }
  auto& sends = sends_until_[static_cast<std::size_t>(from)];
  auto& takes = takes_until_[static_cast<std::size_t>(to)];
  sends = std::max(sends, world_.now()) + time_for(host(from).upload);
  takes = std::max(takes, sends) + time_for(host(to).download) / 8;  // mostly while it is being sent
  auto& last = pair(from, to).last_arrival;
  last = std::max(last, std::max(takes, sends + time_for(host(to).download)) + latency(from, to));
  return last;
}

}  // namespace shoal::sim
