#include "clients.h"

#include "shoal/base/format.h"

namespace shoal::sim {
namespace {

constexpr Millis kAgain{1'000};
constexpr unsigned kMostCuts = 5;
const mirror::Target kTarget{Upstream::kName, Upstream::kRepository};
// What went wrong upstream before a request may still cost it its answer: retries are counted by the fill it joins.
constexpr std::chrono::seconds kLongMemory{20};

std::string bytes_of(World& world, std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t x = world.pick(UINT64_MAX) | 1;
  for (std::size_t i = 0; i < size; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    bytes[i] = static_cast<char>(x);
  }
  return bytes;
}

}  // namespace

Image make_image(World& world, Upstream& upstream, const std::string& tag, const std::vector<std::size_t>& sizes) {
  Image image;
  image.tag = tag;
  std::string layers;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto digest = upstream.put_blob(bytes_of(world, sizes[i]));
    image.blobs.push_back(digest);
    if (i == 0) continue;  // the configuration
    layers += base::format(R"({}{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}})",
                           i == 1 ? "" : ",", digest.to_string(), sizes[i]);
  }
  image.manifest = base::format(
      R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)"
      R"({{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{}]}})",
      image.blobs[0].to_string(), sizes[0], layers);
  (void)upstream.put_manifest(tag, image.manifest);
  return image;
}

Client::Client(World& world, Upstream& upstream, Node& node, const Image& image, int number)
    : world_(world), upstream_(upstream), node_(node), image_(image), number_(number) {
  for (const auto& digest : image.blobs) pulls_.push_back(std::make_unique<Pull>(digest));
}

void Client::begin() {
  if (done_ || left_ || !node_.up() || node_.leaving()) return;
  world_.tell("client {} asks node {} for {}", number_, node_.index(), image_.tag);
  if (!has_manifest_) return ask_manifest();
  for (auto& pull : pulls_) {
    if (!pull->done) open(*pull);
  }
}

void Client::ask_manifest() {
  if (left_ || !node_.up() || node_.leaving()) return;
  asked_ = world_.now();
  manifest_ = node_.mirror().get_manifest(
      node_.loop, kTarget, registry::Tag{image_.tag}, [this](mirror::Outcome<mirror::ManifestAnswer> outcome) {
        if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) {
          failed("manifest", asked_, refusal->message);
          world_.after(kAgain, node_.index(), [this, life = life_] {
            if (life == life_) ask_manifest();
          });
          return;
        }
        if (*std::get<mirror::ManifestAnswer>(outcome).bytes != image_.manifest) {
          world_.violation("client {} of node {} got another manifest", number_, node_.index());
        }
        has_manifest_ = true;
        for (auto& pull : pulls_) open(*pull);
      });
}

void Client::open(Pull& pull) {
  if (left_ || !node_.up() || node_.leaving()) return;
  pull.asked = world_.now();
  pull.got = pull.wrong = 0;
  pull.pending = node_.mirror().open_blob(
      node_.loop, kTarget, pull.digest, [this, &pull](mirror::Outcome<std::unique_ptr<mirror::Blob>> outcome) {
        if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) {
          failed(pull.digest.to_string().substr(7, 8), pull.asked, refusal->message);
          return again(pull);
        }
        pull.source = std::get<std::unique_ptr<mirror::Blob>>(outcome)->read_all();
        read(pull);
      });
}

// A source is not dropped inside its own call.
void Client::let_go(Pull& pull) {
  world_.schedule(world_.now(), node_.index(), World::Kind::post, [source = std::move(pull.source)] {});
}

void Client::again(Pull& pull) {
  let_go(pull);
  world_.after(kAgain, node_.index(), [this, &pull, life = life_] {
    if (life == life_) open(pull);
  });
}

void Client::read(Pull& pull) {
  for (;;) {
    auto piece = pull.source->pull(256 * 1024);
    if (const auto* file = std::get_if<base::FileSlice>(&piece)) {
      take(pull, test::read_slice(*file));
    } else if (const auto* memory = std::get_if<base::MemorySlice>(&piece)) {
      take(pull, std::string(memory->bytes));
    } else if (std::holds_alternative<base::SourceEnd>(piece)) {
      return ended(pull);
    } else if (const auto* error = std::get_if<base::Error>(&piece)) {
      cut(pull, *error);
      return again(pull);
    } else {
      return pull.source->on_ready([this, &pull] { read(pull); });
    }
  }
}

void Client::take(Pull& pull, const std::string& bytes) {
  const auto& right = upstream_.blob(pull.digest);
  const auto name = pull.digest.to_string().substr(7, 8);
  if (pull.got + bytes.size() > right.size()) {
    world_.violation("client {} got more of {} than there is", number_, name);
  } else if (right.compare(pull.got, bytes.size(), bytes) != 0) {
    ++pull.wrong;
    if (!wrong_bytes_possible) world_.violation("client {} got wrong bytes of {}", number_, name);
  }
  pull.got += bytes.size();
}

void Client::ended(Pull& pull) {
  const auto size = upstream_.blob(pull.digest).size();
  if (pull.wrong > 0 || pull.got != size) {
    world_.violation("client {} was told the end of {} after {} of {} bytes, wrong ones {}", number_,
                     pull.digest.to_string(), pull.got, size, pull.wrong);
  }
  pull.done = true;
  let_go(pull);
  look();
}

void Client::look() {
  for (const auto& pull : pulls_) {
    if (!pull->done) return;
  }
  done_ = true;
  done_at_ = world_.now();
  world_.tell("client {} of node {} has all of {}", number_, node_.index(), image_.tag);
}

// What had been read may have been wrong: then a cut is what the contract promises, and few of them.
void Client::cut(Pull& pull, const base::Error& error) {
  const auto name = pull.digest.to_string().substr(7, 8);
  if (!wrong_bytes_possible || error.kind() != base::ErrorKind::corrupt || pull.got == 0) {
    return failed(name, pull.asked, error.message());
  }
  world_.tell("client {} of node {}: {} is cut: {}", number_, node_.index(), name, error.message());
  if (++pull.cuts > kMostCuts) world_.violation("client {} was cut {} times in {}", number_, pull.cuts, name);
}

void Client::failed(std::string_view what, base::SteadyTime asked, const std::string& why) {
  ++errors_;
  world_.tell("client {} of node {}: {}: {}", number_, node_.index(), what, why);
  if (why.empty()) world_.violation("client {} was refused {} without a reason", number_, what);
  if (upstream_.sound_since(node_.index(), asked - kLongMemory)) {
    world_.violation("client {} of node {} got an error for {}, though its path to upstream was sound: {}", number_,
                     node_.index(), what, why);
  }
}

void Client::node_gone() {
  ++life_;
  manifest_.reset();
  for (auto& pull : pulls_) {
    pull->pending.reset();
    pull->source.reset();
  }
}

void Client::leave() {
  if (done_) return;
  world_.tell("client {} of node {} leaves", number_, node_.index());
  left_ = true;
  if (node_.up()) node_gone();
}

std::string Client::state() const {
  if (!has_manifest_) return "no manifest";
  std::string text;
  for (const auto& pull : pulls_) {
    if (!pull->done) text += base::format("{} at {} ", pull->digest.to_string().substr(7, 8), pull->got);
  }
  return text;
}

}  // namespace shoal::sim
