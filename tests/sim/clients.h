// Client: one image pull at one node, as a container engine does it: the manifest by tag, then its blobs, all at once;
// what fails is asked again. It judges every byte and every error.
#pragma once

#include <memory>
#include <vector>

#include "node.h"

namespace shoal::sim {

struct Image {
  std::string tag;
  std::string manifest;
  std::vector<base::Digest> blobs;
};
// Content that follows from `random`; sizes in bytes. Blobs are put upstream.
[[nodiscard]] Image make_image(World& world, Upstream& upstream, const std::string& tag,
                               const std::vector<std::size_t>& sizes);

class Client {
 public:
  Client(World& world, Upstream& upstream, Node& node, const Image& image, int number);
  void begin();      // or again, after its node came back
  void node_gone();  // all it had open is void
  void leave();      // it wants nothing more
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] bool left() const { return left_; }
  [[nodiscard]] Node& node() const { return node_; }
  [[nodiscard]] std::size_t errors() const { return errors_; }
  [[nodiscard]] base::SteadyTime done_at() const { return done_at_; }
  [[nodiscard]] std::string state() const;
  // Wrong bytes may come until the end is held back: some source of the site is not sound.
  bool wrong_bytes_possible = false;

 private:
  struct Pull {
    explicit Pull(const base::Digest& d) : digest(d) {}
    const base::Digest digest;
    std::unique_ptr<mirror::Pending> pending;
    std::unique_ptr<base::ByteSource> source;
    std::uint64_t got = 0;
    std::uint64_t wrong = 0;
    unsigned cuts = 0;  // since wrong bytes had come
    bool done = false;
    base::SteadyTime asked{};
  };
  void ask_manifest();
  void open(Pull& pull);
  void read(Pull& pull);
  void take(Pull& pull, const std::string& bytes);
  void ended(Pull& pull);
  void cut(Pull& pull, const base::Error& error);
  void failed(std::string_view what, base::SteadyTime asked, const std::string& why);
  void let_go(Pull& pull);
  void again(Pull& pull);
  void look();

  World& world_;
  Upstream& upstream_;
  Node& node_;
  const Image& image_;
  const int number_;
  std::unique_ptr<mirror::Pending> manifest_;
  bool has_manifest_ = false, done_ = false, left_ = false;
  std::size_t errors_ = 0;
  base::SteadyTime asked_{}, done_at_{};
  std::vector<std::unique_ptr<Pull>> pulls_;
  unsigned life_ = 0;  // what was begun before node_gone() is void
};

}  // namespace shoal::sim
