#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "command.h"
#include "image_name.h"
#include "node_pull.h"
#include "pull_progress.h"
#include "shoal/base/base64.h"
#include "shoal/base/format.h"
#include "shoal/net/event_loop.h"

namespace shoal::cli {
namespace {

using base::format;
using nlohmann::json;

constexpr std::chrono::milliseconds kRedraw{200};

struct PullFlags {
  NodeFlags node;
  std::string image;
  bool all_nodes = false;
  std::vector<std::string> nodes;
  std::string platform;
  std::string user, password_file;
  std::string ca_file;
};

// Runs pulls on a loop of its own: one of a few, so that hashing for many nodes has more than one core.
class PullThread {
 public:
  explicit PullThread(unsigned index) : loop_(index) {
    loop_.start();
    run([this] {
      fetch::ClientOptions options;
      options.user_agent = "shoal-pull/" SHOAL_VERSION;
      client_ = std::make_unique<fetch::Client>(loop_, options);
    });
  }
  ~PullThread() {
    run([this] {
      pulls_.clear();
      client_.reset();
    });
    loop_.stop();
  }
  PullThread(const PullThread&) = delete;
  PullThread& operator=(const PullThread&) = delete;

  void start(const PullOrder& order, PullState& state, base::UniqueFunction<void()> ended) {
    run([&] {
      pulls_.push_back(std::make_unique<NodePull>(loop_, *client_, order, state, std::move(ended)));
      pulls_.back()->start();
    });
  }

 private:
  template <class F>
  void run(F f) {
    std::promise<void> done;
    loop_.post([&f, &done] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  net::EventLoop loop_;
  std::unique_ptr<fetch::Client> client_;
  std::vector<std::unique_ptr<NodePull>> pulls_;
};

// The nodes to pull through; empty when it was said why not, and `code` is set.
std::vector<std::string> find_nodes(const PullFlags& flags, int& code) {
  std::vector<std::string> urls;
  const auto add = [&urls](std::string url) {
    while (url.ends_with('/')) url.pop_back();
    if (url.find("://") == std::string::npos) url = "http://" + url;
    if (std::find(urls.begin(), urls.end(), url) == urls.end()) urls.push_back(std::move(url));
  };
  for (const auto& url : flags.nodes) add(url);
  if (!urls.empty()) return urls;
  auto node = flags.node;
  node.json = false;
  const auto answer = ask_json(node, "GET", flags.all_nodes ? "/api/v1/peers" : "/api/v1/status", code);
  if (!answer) return {};
  const auto take = [&add](const json& from) {
    if (const auto url = from.value("url", std::string()); !url.empty()) add(url);
  };
  take(*answer);
  if (flags.all_nodes) {
    for (const auto& peer : answer->value("peers", json::array())) take(peer);
  }
  if (!urls.empty()) return urls;
  std::fprintf(stderr, "shoal: the node does not say where it serves; --node URL does\n");
  code = kFailed;
  return {};
}

// "Basic ...", "" for none; nullopt when it was said what is wrong.
std::optional<std::string> read_authorization(const PullFlags& flags) {
  if (flags.user.empty()) return std::string();
  std::string password;
  std::ifstream file(flags.password_file);
  if (!file || !std::getline(file, password)) {
    std::fprintf(stderr, "shoal: cannot read a password from '%s'\n", flags.password_file.c_str());
    return std::nullopt;
  }
  if (password.ends_with('\r')) password.pop_back();
  return "Basic " + base::base64(flags.user + ":" + password);
}

void print_ended(const PullState& node) {
  if (!node.error.empty()) {
    std::fprintf(stderr, "shoal: %s: %s\n", node.url.c_str(), node.error.c_str());
    return;
  }
  std::printf("%s\n", format("{}: {}, {} blobs, {} in {:.1f} s", node.url, node.digest, node.blobs,
                             human_bytes(node.received.load()), static_cast<double>(node.took.count()) / 1000)
                          .c_str());
  std::fflush(stdout);
}

// Starts all, then prints each as it ends.
void run_all(const PullOrder& order, std::deque<PullState>& nodes, bool say) {
  std::mutex mutex;
  std::condition_variable woken;
  std::deque<std::unique_ptr<PullThread>> threads;
  const auto most = std::max(1U, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < std::min<std::size_t>(nodes.size(), most); ++i) {
    threads.push_back(std::make_unique<PullThread>(i));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    threads[i % threads.size()]->start(order, nodes[i], [&mutex, &woken] {
      const std::lock_guard lock(mutex);
      woken.notify_one();
    });
  }
  PullProgress progress(nodes);
  std::vector<bool> told(nodes.size(), false);
  for (std::size_t over = 0; over < nodes.size();) {
    {
      std::unique_lock lock(mutex);
      woken.wait_for(lock, kRedraw);
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (told[i] || !nodes[i].over.load(std::memory_order_acquire)) continue;
      told[i] = true;
      ++over;
      progress.clear();
      if (say) print_ended(nodes[i]);
    }
    if (over < nodes.size()) progress.show();
  }
}

json to_json(const PullFlags& flags, const PullOrder& order, const std::deque<PullState>& nodes) {
  json list = json::array();
  for (const auto& node : nodes) {
    json entry{{"url", node.url},     {"ok", node.error.empty()},      {"digest", node.digest},
               {"blobs", node.blobs}, {"bytes", node.received.load()}, {"milliseconds", node.took.count()}};
    if (!node.error.empty()) entry["error"] = node.error;
    list.push_back(std::move(entry));
  }
  return {{"image", flags.image}, {"platform", order.platform}, {"nodes", std::move(list)}};
}

int pull(const PullFlags& flags) {
  const auto name = parse_image_name(flags.image);
  if (!name) {
    std::fprintf(stderr, "shoal: '%s' is no image: [registry/]repository[:tag][@digest]\n", flags.image.c_str());
    return kWrongUse;
  }
  auto authorization = read_authorization(flags);
  if (!authorization) return kFailed;
  int code = kFailed;
  const auto urls = find_nodes(flags, code);
  if (urls.empty()) return code;

  PullOrder order;
  order.repository = name->repository;
  order.reference = !name->digest.empty() ? name->digest : name->tag.empty() ? "latest" : name->tag;
  order.platform = flags.platform.empty() ? registry::own_platform() : flags.platform;
  order.authorization = std::move(*authorization);
  order.tls.ca_file = flags.ca_file;
  std::deque<PullState> nodes(urls.size());
  for (std::size_t i = 0; i < urls.size(); ++i) nodes[i].url = urls[i];
  run_all(order, nodes, /*say=*/!flags.node.json);

  if (flags.node.json) std::printf("%s\n", to_json(flags, order, nodes).dump(2).c_str());
  const auto failed = std::count_if(nodes.begin(), nodes.end(), [](const auto& node) { return !node.error.empty(); });
  std::set<std::string> digests;
  for (const auto& node : nodes) {
    if (node.error.empty()) digests.insert(node.digest);
  }
  if (failed > 0 && nodes.size() > 1) {
    std::fprintf(stderr, "shoal: %lld of %zu nodes failed\n", static_cast<long long>(failed), nodes.size());
  }
  if (digests.size() > 1) {
    std::fprintf(stderr,
                 "shoal: the nodes have %zu different images of that name: the tag has moved, and some of them have "
                 "not asked upstream since\n",
                 digests.size());
  }
  return failed == 0 && digests.size() == 1 ? kFine : kFailed;
}

}  // namespace

void add_pull(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("pull", "Pulls an image through a node, or through every node of its site");
  command->footer(
      "Example:\n  shoal pull --all-nodes docker.io/library/nginx:1.27\n\n"
      "So that the nodes have it before it is needed. What comes is checked against its digests and thrown away.");
  auto flags = std::make_shared<PullFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("image", flags->image, "[registry/]repository[:tag][@digest]")->required();
  auto* all = command->add_flag("--all-nodes", flags->all_nodes, "Every node that the asked one knows, and itself");
  command->add_option("--node", flags->nodes, "Through this node, http://10.0.0.7:5000; may be repeated")
      ->allow_extra_args(false)
      ->excludes(all);
  command->add_option("--platform", flags->platform, "linux/arm64, linux/arm/v7, or all (default: this machine's)");
  auto* file = command->add_option("--password-file", flags->password_file, "Its first line is the password");
  auto* user = command->add_option("--user", flags->user, "Logs in at the nodes")->needs(file);
  file->needs(user);
  command->add_option("--ca-file", flags->ca_file, "PEM: who signed the nodes' certificates (default: the system's)");
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return pull(*flags); }; });
}

}  // namespace shoal::cli
