// HostedRig: a StoreRig with blocking helpers for what a pusher does.
#pragma once

#include "support/store_rig.h"

namespace shoal::test {

inline std::string descriptor_of(const base::Digest& digest, const std::string& media_type) {
  return "{\"mediaType\":\"" + media_type + "\",\"digest\":\"" + digest.to_string() + "\",\"size\":1}";
}

// An image manifest whose config is the first blob and whose layers are the others.
inline std::string image_of(const std::vector<base::Digest>& blobs, const std::optional<base::Digest>& subject = {},
                            const std::string& note = "") {
  std::string layers;
  for (std::size_t i = 1; i < blobs.size(); ++i) {
    layers += (layers.empty() ? "" : ",") + descriptor_of(blobs[i], "application/octet-stream");
  }
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
         descriptor_of(blobs.at(0), "application/octet-stream") + ",\"layers\":[" + layers + "]" +
         (subject ? ",\"subject\":" + descriptor_of(*subject, "application/vnd.oci.image.manifest.v1+json") : "") +
         ",\"annotations\":{\"note\":\"" + note + "\"}}";
}

inline std::string index_of(const std::vector<base::Digest>& manifests) {
  std::string list;
  for (const auto& digest : manifests) {
    list += (list.empty() ? "" : ",") + descriptor_of(digest, "application/vnd.oci.image.manifest.v1+json");
  }
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" + list + "]}";
}

class HostedRig : public StoreRig {
 public:
  using StoreRig::StoreRig;

  [[nodiscard]] store::Hosted& hosted() const { return store->hosted(); }

  std::unique_ptr<store::Upload> begin_upload(const std::string& repository) {
    auto upload = hosted().begin_upload(repository, loop);
    EXPECT_TRUE(upload.ok()) << upload.error().message();
    return upload.ok() ? std::move(upload).value() : nullptr;
  }
  std::unique_ptr<store::Upload> resume_upload(const std::string& repository, const std::string& id) {
    auto upload = hosted().resume_upload(repository, id, loop);
    return upload.ok() ? std::move(upload).value() : nullptr;
  }
  base::Result<std::uint64_t> length(store::Upload& upload) {
    return wait<std::uint64_t>([&](auto done) { upload.length(std::move(done)); });
  }
  base::Result<std::uint64_t> add(store::Upload& upload, std::string bytes) {
    return wait<std::uint64_t>([&](auto done) { upload.append(shared(std::move(bytes)), std::move(done)); });
  }
  base::Result<void> finish(store::Upload& upload, const base::Digest& digest) {
    return wait<void>([&](auto done) { upload.finish(digest, std::move(done)); });
  }
  // At once; the answers in the order of `uploads`, each of which has the digest at its place.
  std::vector<base::Result<void>> finish_all(const std::vector<std::unique_ptr<store::Upload>>& uploads,
                                             const std::vector<base::Digest>& digests) {
    std::vector<std::optional<base::Result<void>>> answers(uploads.size());
    for (std::size_t i = 0; i < uploads.size(); ++i) {
      uploads[i]->finish(digests.at(i), [&answers, i](base::Result<void> result) { answers[i] = std::move(result); });
    }
    std::vector<base::Result<void>> results;
    for (const auto& answer : answers) {
      EXPECT_TRUE(loop.run_until([&answer] { return answer.has_value(); }));
      results.push_back(answer.value_or(base::Error(base::ErrorKind::timeout, "no answer")));
    }
    return results;
  }
  base::Result<void> cancel(store::Upload& upload) {
    return wait<void>([&](auto done) { upload.cancel(std::move(done)); });
  }
  base::Result<void> push_blob(const std::string& repository, const std::string& bytes,
                               base::HashAlgorithm algorithm = base::HashAlgorithm::sha256) {
    auto upload = begin_upload(repository);
    if (upload == nullptr) return base::Error(base::ErrorKind::busy, "no upload");
    if (const auto added = add(*upload, bytes); !added.ok()) return added.error();
    return finish(*upload, base::digest_of(bytes, algorithm));
  }
  base::Result<void> put_manifest(store::ManifestPush push) {
    return wait<void>([&](auto done) { hosted().put_manifest(std::move(push), loop, std::move(done)); });
  }
  // Pushes the manifest, needing what it names.
  base::Result<void> push_manifest(const std::string& repository, const std::string& json,
                                   std::vector<base::Digest> needed, std::vector<std::string> tags = {},
                                   std::optional<base::Digest> subject = {}) {
    store::ManifestPush push{repository,
                             base::digest_of(json),
                             "application/vnd.oci.image.manifest.v1+json",
                             shared(json),
                             std::move(tags),
                             std::move(needed),
                             subject,
                             "",
                             {}};
    if (subject) push.descriptor = "{\"digest\":\"" + push.digest.to_string() + "\"}";
    return put_manifest(std::move(push));
  }
  base::Result<void> mount(const std::string& repository, const base::Digest& digest, const std::string& from) {
    return wait<void>([&](auto done) { hosted().mount(repository, digest, from, loop, std::move(done)); });
  }
  base::Result<void> remove_content(const std::string& repository, const base::Digest& digest,
                                    store::Removal removal = {}) {
    return wait<void>(
        [&](auto done) { hosted().remove_content(repository, digest, std::move(removal), loop, std::move(done)); });
  }
  base::Result<void> remove_tag(const std::string& repository, const std::string& tag) {
    return wait<void>([&](auto done) { hosted().remove_tag(repository, tag, loop, std::move(done)); });
  }
  base::Result<store::GcReport> collect(store::GcOptions gc) {
    return wait<store::GcReport>([&](auto done) { hosted().collect_garbage(gc, loop, std::move(done)); });
  }
  // Grace 0, as seen a second later.
  base::Result<store::GcReport> collect_now(bool untagged = false, bool dry_run = false) {
    clock.advance(std::chrono::seconds(1));
    return collect({dry_run, untagged, std::chrono::seconds(0)});
  }
  [[nodiscard]] bool shows(const std::string& repository, const base::Digest& digest) const {
    const auto link = store->find_link(repository, digest);
    return link && link->proven && link->hosted;
  }
};

}  // namespace shoal::test
