// Many simulated nodes of a site against one real tracker: sealed announces and wants over kept connections, one
// request at a time on each. Built by tracker.py against the libraries beside the program it measures.
//
//   tracker_load HOST PORT SECRET_FILE THREADS CONNECTIONS NODES RECORDS SECONDS
//
// Phases: settle (until every node has heard of all others, 256 in an answer), fill (RECORDS digests, 512 an announce),
// announce (for SECONDS, one digest each), want (for SECONDS; nine of ten digests are known). Prints a line when a
// phase begins, and one of JSON when it ends.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "client.h"
#include "seal.h"
#include "wire.h"

namespace {

using namespace shoal;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPerAnnounce = 512;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "tracker_load: %s\n", what.c_str());
  std::exit(1);
}

struct Options {
  std::string host;
  std::uint16_t port = 0;
  std::string secret;
  unsigned threads = 1;
  std::size_t connections = 64, nodes = 1000, records = 100'000;
  double seconds = 5;
};

enum class Phase { settle, fill, announce, want };

std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

base::Digest digest_of(std::uint64_t number) {
  char text[72];
  std::snprintf(text, sizeof text, "sha256:%016llx%016llx%016llx%016llx", static_cast<unsigned long long>(mix(number)),
                static_cast<unsigned long long>(mix(number + 1'000'000'007)),
                static_cast<unsigned long long>(mix(number + 2'000'000'011)),
                static_cast<unsigned long long>(mix(number + 3'000'000'019)));
  auto digest = base::Digest::parse(text);
  if (!digest.ok()) fail("a digest that is none");
  return *digest;
}

struct Node {
  p2p::NodeInfo info;
  std::uint64_t seen = 0;
  bool busy = false;
  bool settled = false;  // has heard of all others
};

struct Tally {
  std::uint64_t answered = 0, refused = 0, forgotten = 0;
  std::string first_refusal;
  std::vector<float> ms;
};

// One thread: its nodes, its connections.
class Herd {
 public:
  Herd(const Options& options, p2p::Seal& seal, unsigned index)
      : options_(options), seal_(seal), random_(index + 1), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (std::size_t i = index; i < options.nodes; i += options.threads) {
      char id[33], url[64];
      std::snprintf(id, sizeof id, "%016llx%016llx", static_cast<unsigned long long>(mix(i + 77)),
                    static_cast<unsigned long long>(mix(i + 78'000'000)));
      std::snprintf(url, sizeof url, "http://10.%zu.%zu.%zu:5000", i >> 16 & 255, i >> 8 & 255, i & 255);
      nodes_.push_back({{id, url, "", 6881}});
    }
    for (std::size_t i = index; i < options.connections; i += options.threads) connect();
    if (links_.empty() || nodes_.size() < links_.size()) fail("more connections than nodes, or fewer than threads");
  }

  Tally run(Phase phase, std::atomic<std::uint64_t>& next_record) {
    tally_ = {};
    phase_ = phase;
    next_record_ = &next_record;
    settled_ = 0;
    for (auto& node : nodes_) node.settled = false;
    const auto end = Clock::now() + std::chrono::duration<double>(options_.seconds);
    std::size_t running = 0;
    for (auto& link : links_) running += begin(*link) ? 1 : 0;
    while (running > 0) {
      epoll_event events[64];
      const int n = ::epoll_wait(epoll_, events, 64, 10'000);
      if (n <= 0) fail("the tracker does not answer");
      for (int i = 0; i < n; ++i) {
        auto& link = *static_cast<Link*>(events[i].data.ptr);
        if (!receive(link)) continue;
        const bool timed = phase == Phase::announce || phase == Phase::want;
        const bool over = phase == Phase::settle ? settled_ == nodes_.size() : timed && Clock::now() >= end;
        if (over || !begin(link)) --running;
      }
    }
    return std::move(tally_);
  }

 private:
  struct Link {
    int fd = -1;
    std::string in;
    std::size_t node = 0;
    Clock::time_point began;
  };

  void connect() {
    auto link = std::make_unique<Link>();
    link->fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!connect_to(link->fd, options_.host, options_.port)) fail("cannot connect");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = link.get();
    (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, link->fd, &event);
    links_.push_back(std::move(link));
  }

  // False: nothing is left to do.
  bool begin(Link& link) {
    while (nodes_[turn_].busy) turn_ = (turn_ + 1) % nodes_.size();
    link.node = turn_;
    turn_ = (turn_ + 1) % nodes_.size();
    auto& node = nodes_[link.node];
    std::string body;
    if (phase_ == Phase::want) {
      const bool known = random_() % 10 != 0;
      const p2p::Want want{
          digest_of(known ? random_() % options_.records : 1'000'000'000'000 + random_() % 1'000'000), 30'000'000, {}};
      body = to_json(p2p::WantCall{node.info, want});
    } else {
      p2p::Announce announce;
      announce.node = node.info;
      announce.seen = node.seen;
      if (phase_ == Phase::fill) {
        const auto from = next_record_->fetch_add(kPerAnnounce);
        if (from >= options_.records) return false;
        for (auto i = from; i < std::min<std::uint64_t>(from + kPerAnnounce, options_.records); ++i) {
          announce.have.push_back(digest_of(i));
        }
      } else if (phase_ == Phase::announce) {
        announce.have.push_back(digest_of(random_() % options_.records));
      }
      body = to_json(announce);
    }
    node.busy = true;
    const std::string path = phase_ == Phase::want ? "/p2p/v1/want" : "/p2p/v1/announce";
    const std::string host = options_.host + ":" + std::to_string(options_.port);
    const auto sealed = seal_.request("POST", host + path, node.info.id, body, std::chrono::system_clock::now());
    const std::string request = "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nShoal-Seal: " + sealed.value +
                                "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                                "\r\n\r\n" + body;
    link.began = Clock::now();
    for (std::size_t sent = 0; sent < request.size();) {
      const auto n = ::send(link.fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) fail("the tracker closed a connection");
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }

  static std::size_t members_in(const std::string& answer) {
    std::size_t count = 0;
    for (auto at = answer.find("\"left\":"); at != std::string::npos; at = answer.find("\"left\":", at + 1)) ++count;
    return count;
  }

  // True: the answer is whole.
  bool receive(Link& link) {
    char buffer[65536];
    const auto n = ::recv(link.fd, buffer, sizeof buffer, 0);
    if (n <= 0) fail("the tracker closed a connection");
    link.in.append(buffer, static_cast<std::size_t>(n));
    const auto head = link.in.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    const auto length = link.in.find("Content-Length: ");
    if (length == std::string::npos || length > head) fail("an answer without a length:\n" + link.in);
    const auto size = std::strtoull(link.in.c_str() + length + 16, nullptr, 10);
    if (link.in.size() < head + 4 + size) return false;
    auto& node = nodes_[link.node];
    node.busy = false;
    ++tally_.answered;
    tally_.ms.push_back(std::chrono::duration<float, std::milli>(Clock::now() - link.began).count());
    if (link.in.compare(9, 3, "200") != 0) {
      if (tally_.refused++ == 0) tally_.first_refusal = link.in.substr(0, 12) + " " + link.in.substr(head + 4, 120);
    } else if (phase_ != Phase::want) {
      const auto version = link.in.find("\"version\":", head);
      if (version == std::string::npos) fail("an answer to an announce without a version");
      node.seen = std::strtoull(link.in.c_str() + version + 10, nullptr, 10);
      if (link.in.find("\"know_nothing_of_you\":true", head) != std::string::npos) ++tally_.forgotten;
      if (phase_ == Phase::settle && !node.settled && members_in(link.in) < p2p::kMaxMembers) {
        node.settled = true;
        ++settled_;
      }
    }
    link.in.clear();
    return true;
  }

  const Options& options_;
  p2p::Seal& seal_;
  std::mt19937_64 random_;
  int epoll_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Link>> links_;
  std::size_t turn_ = 0, settled_ = 0;
  Phase phase_ = Phase::fill;
  std::atomic<std::uint64_t>* next_record_ = nullptr;
  Tally tally_;
};

void run(const char* name, Phase phase, std::vector<std::unique_ptr<Herd>>& herds) {
  std::printf("begin %s\n", name);
  std::fflush(stdout);
  std::atomic<std::uint64_t> next_record{0};
  std::vector<Tally> tallies(herds.size());
  std::vector<std::thread> threads;
  const auto began = Clock::now();
  for (std::size_t i = 0; i < herds.size(); ++i) {
    threads.emplace_back([&, i] { tallies[i] = herds[i]->run(phase, next_record); });
  }
  for (auto& thread : threads) thread.join();
  const std::chrono::duration<double> took = Clock::now() - began;
  Tally sum;
  for (auto& tally : tallies) {
    sum.answered += tally.answered;
    sum.refused += tally.refused;
    sum.forgotten += tally.forgotten;
    if (sum.first_refusal.empty()) sum.first_refusal = tally.first_refusal;
    sum.ms.insert(sum.ms.end(), tally.ms.begin(), tally.ms.end());
  }
  if (sum.refused > 0) std::fprintf(stderr, "%s: first refusal: %s\n", name, sum.first_refusal.c_str());
  std::sort(sum.ms.begin(), sum.ms.end());
  const auto at = [&sum](double share) {
    return sum.ms.empty() ? 0.0
                          : static_cast<double>(sum.ms[static_cast<std::size_t>(share * double(sum.ms.size() - 1))]);
  };
  std::printf(
      "{\"phase\":\"%s\",\"answered\":%llu,\"refused\":%llu,\"forgotten\":%llu,\"seconds\":%.3f,"
      "\"ms_p50\":%.3f,\"ms_p99\":%.3f}\n",
      name, static_cast<unsigned long long>(sum.answered), static_cast<unsigned long long>(sum.refused),
      static_cast<unsigned long long>(sum.forgotten), took.count(), at(0.5), at(0.99));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) fail("usage: tracker_load HOST PORT SECRET_FILE THREADS CONNECTIONS NODES RECORDS SECONDS");
  Options options;
  options.host = argv[1];
  options.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  std::ifstream secret(argv[3]);
  std::getline(secret, options.secret);
  options.threads = static_cast<unsigned>(std::atoi(argv[4]));
  options.connections = std::strtoull(argv[5], nullptr, 10);
  options.nodes = std::strtoull(argv[6], nullptr, 10);
  options.records = std::strtoull(argv[7], nullptr, 10);
  options.seconds = std::atof(argv[8]);
  auto seal = p2p::Seal::make(options.secret);
  if (!seal.ok()) fail(seal.error().message());
  std::vector<std::unique_ptr<Herd>> herds;
  for (unsigned i = 0; i < options.threads; ++i) herds.push_back(std::make_unique<Herd>(options, **seal, i));
  run("settle", Phase::settle, herds);
  run("fill", Phase::fill, herds);
  run("settle again", Phase::settle, herds);  // with those who were silent too long meanwhile
  run("announce", Phase::announce, herds);
  run("want", Phase::want, herds);
}
