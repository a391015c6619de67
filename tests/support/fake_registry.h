// FakeUpstream and FakeRegistry: upstream::Registry driven by the test. FakeUpstream holds content, scripts and counts
// and may be shared by the FakeRegistry of every loop; FakeRegistry answers on its loop, never inside a call.
//
//   FakeUpstream upstream;
//   FakeRegistry registry(loop, upstream);
//   auto digest = upstream.put_blob("library/x", bytes);             // answered by itself, in chunks
//   upstream.fail_next(FakeUpstream::Op::get_blob, failure);         // ... after this failure
//   upstream.script_blob({.cut_after = 1000, .failure = reset});     // ... or a start and then a failure
//   upstream.manual_blobs(true);                                     // ... or byte by byte:
//   auto call = upstream.blob_call(0); call->start(0, 10); call->data("01234"); call->end(); loop.run_all();
//   upstream.hold(true); ...; upstream.release();                    // answers wait in between
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/upstream/upstream.h"

namespace shoal::test {

// One get_blob as the test sees it. The steps reach the sink on the loop, in order, waiting while it is paused; an end
// does not wait, as one does not that libcurl has read with the last bytes.
class FakeBlobCall : public std::enable_shared_from_this<FakeBlobCall> {
 public:
  FakeBlobCall(base::Loop& loop, std::string repository, base::Digest digest, std::uint64_t offset,
               std::optional<std::uint64_t> expected_size, unsigned source, upstream::BlobSink& sink);

  const std::string repository;
  const base::Digest digest;
  const std::uint64_t offset;
  const std::optional<std::uint64_t> expected_size;
  const unsigned source;

  void start(std::uint64_t at, std::optional<std::uint64_t> total);
  void data(std::string bytes);
  void end(std::optional<upstream::Failure> failure = std::nullopt);

  [[nodiscard]] bool dropped() const;  // the caller dropped its Call
  [[nodiscard]] bool paused() const;
  [[nodiscard]] bool ended() const;
  [[nodiscard]] std::uint64_t delivered() const;  // bytes the sink took

 private:
  friend class FakeRegistry;
  struct Step {
    enum class Kind { start, data, end } kind;
    std::uint64_t at = 0;
    std::optional<std::uint64_t> total;
    std::string bytes;
    std::optional<upstream::Failure> failure;
  };
  void add(Step step);
  void run();  // on the loop: as many steps as the sink takes
  void drop();
  void resume();

  base::Loop& loop_;
  mutable std::mutex mutex_;
  upstream::BlobSink* sink_;  // null once dropped or ended
  std::deque<Step> steps_;
  bool scheduled_ = false, paused_ = false, dropped_ = false, ended_ = false;
  std::uint64_t delivered_ = 0;
};

class FakeUpstream {
 public:
  enum class Op { head_manifest, get_manifest, head_blob, get_blob, list_tags, referrers };
  static constexpr std::size_t kOps = 6;

  // Content. A manifest is found by `tag` (unless "") and by its digest. What is not there is not_found.
  base::Digest put_manifest(const std::string& repository, const std::string& tag, std::string bytes,
                            std::string media_type = "application/vnd.oci.image.manifest.v1+json");
  base::Digest put_blob(const std::string& repository, std::string bytes);
  // Serves `bytes` under a digest that they need not have: a poisoned upstream.
  void put_blob_as(const std::string& repository, const base::Digest& digest, std::string bytes);
  void put_tags(const std::string& repository, upstream::TagPage page);
  void put_referrers(const std::string& repository, const base::Digest& subject, upstream::TagPage page);
  void remove_manifest(const std::string& repository, const std::string& reference);
  void remove_blob(const std::string& repository, const base::Digest& digest);

  // Scripts.
  void fail_next(Op op, upstream::Failure failure);                   // once; queues up
  void fail_always(Op op, std::optional<upstream::Failure> failure);  // until nullopt
  void fail_everything(std::optional<upstream::Failure> failure);     // "upstream is down"
  struct BlobScript {                                                 // for the next get_blob
    bool ignore_range = false;                                        // starts at 0 whatever was asked
    bool hide_total = false;                                          // no Content-Length
    std::optional<std::uint64_t> cut_after = {};                      // so many bytes, then `failure` ...
    std::optional<upstream::Failure> failure = {};                    // ... or a clean end without one: too short
    bool hang = false;                                                // after cut_after: nothing more, ever
    std::optional<std::uint64_t> flip_byte = {};                      // at this offset of the blob
    std::optional<std::uint64_t> claim_total = {};                    // instead of the size
  };
  void script_blob(BlobScript script);
  void manual_blobs(bool on);           // get_blob answers nothing by itself: see blob_call()
  void hold(bool on);                   // answers (not manual blobs) wait for release()
  void release();                       // lets out all that wait
  void refuse_head(bool on);            // head_manifest answers head_refused
  void hide_digest(bool on);            // head_manifest does not tell the digest
  void set_chunk_bytes(std::size_t n);  // of automatic blobs; default 64 KiB
  void set_health(upstream::Health health);

  // What happened.
  [[nodiscard]] std::size_t count(Op op) const;
  [[nodiscard]] std::size_t waiting() const;                                   // held answers
  [[nodiscard]] std::shared_ptr<FakeBlobCall> blob_call(std::size_t i) const;  // every get_blob, in order; null: none
  [[nodiscard]] std::size_t blob_calls() const;
  [[nodiscard]] std::vector<std::string> corrupt_reports() const;
  [[nodiscard]] std::vector<std::string> log() const;  // "get_manifest library/x:latest", in order

 private:
  friend class FakeRegistry;
  struct StoredManifest {
    std::string bytes, media_type;
  };
  std::optional<upstream::Failure> note(Op op, std::string what);   // counts; the scripted failure, if any
  void answer(base::Loop& loop, base::UniqueFunction<void()> run);  // posts, or keeps while held
  static upstream::Failure not_found(const std::string& what);

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, StoredManifest> manifests_;  // (repository, tag or digest)
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const std::string>> blobs_;
  std::map<std::string, upstream::TagPage> tags_;
  std::map<std::pair<std::string, std::string>, upstream::TagPage> referrers_;
  std::map<Op, std::deque<upstream::Failure>> fail_next_;
  std::map<Op, upstream::Failure> fail_always_;
  std::deque<BlobScript> blob_scripts_;
  std::size_t counts_[kOps] = {};
  std::vector<std::shared_ptr<FakeBlobCall>> blob_calls_;
  std::vector<std::string> corrupt_, log_;
  struct Held {
    base::Loop* loop;
    base::UniqueFunction<void()> run;
  };
  std::deque<Held> held_;
  bool manual_ = false, hold_ = false, refuse_head_ = false, hide_digest_ = false;
  std::size_t chunk_bytes_ = 64 * 1024;
  upstream::Health health_;
};

class FakeRegistry final : public upstream::Registry {
 public:
  FakeRegistry(base::Loop& loop, FakeUpstream& upstream, upstream::UpstreamOptions options = default_options());
  static upstream::UpstreamOptions default_options();  // "docker.io"

  [[nodiscard]] const upstream::UpstreamOptions& options() const override { return options_; }
  [[nodiscard]] upstream::UpstreamOptions& edit_options() { return options_; }
  [[nodiscard]] upstream::Health health() const override;
  [[nodiscard]] upstream::Call head_manifest(std::string_view repository, std::string_view reference,
                                             Done<upstream::ManifestHead> done) override;
  [[nodiscard]] upstream::Call get_manifest(std::string_view repository, std::string_view reference,
                                            Done<upstream::Manifest> done) override;
  [[nodiscard]] upstream::Call head_blob(std::string_view repository, const base::Digest& digest,
                                         Done<upstream::BlobHead> done) override;
  [[nodiscard]] upstream::Call get_blob(std::string_view repository, const base::Digest& digest, std::uint64_t offset,
                                        std::optional<std::uint64_t> expected_size, unsigned source,
                                        upstream::BlobSink& sink) override;
  [[nodiscard]] upstream::Call list_tags(std::string_view repository, std::string_view query,
                                         Done<upstream::TagPage> done) override;
  [[nodiscard]] upstream::Call referrers(std::string_view repository, const base::Digest& digest,
                                         std::string_view query, Done<upstream::TagPage> done) override;
  void report_corrupt(std::string_view what) override;

 private:
  template <class T>
  upstream::Call reply(upstream::Outcome<T> outcome, Done<T> done);
  upstream::Call blob_handle(std::shared_ptr<FakeBlobCall> call);

  base::Loop& loop_;
  FakeUpstream& upstream_;
  upstream::UpstreamOptions options_;
};

}  // namespace shoal::test
