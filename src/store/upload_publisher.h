// UploadPublisher: makes finished uploads durable and known, many at once. Gathers what finishes while the last batch
// is being synced; the order of its steps is in README.md.
//
// add() from any thread; the batches run one at a time on the disk executor; answers come on the index writer's thread.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shoal/base/byte_source.h"
#include "shoal/base/digest.h"
#include "shoal/base/result.h"
#include "shoal/base/unique_function.h"
#include "shoal/store/records.h"

namespace shoal::store {

struct Core;

struct FinishedUpload {
  std::string id;
  std::string repository;
  base::Digest digest;  // it was checked
  std::uint64_t size = 0;
  std::shared_ptr<const base::File> file;
  bool synced = false;      // its bytes
  bool recorded = false;    // in the index, as an upload
  std::uint64_t epoch = 0;  // of Health, in which it began
  base::UniqueFunction<void(base::Result<void>)> answer;
};

class UploadPublisher {
 public:
  explicit UploadPublisher(Core& core) : core_(core) {}
  void add(FinishedUpload upload);

 private:
  struct Item {
    FinishedUpload upload;
    bool move = true;                       // false: the blob is there already, only the link is new
    std::optional<base::Error> error = {};  // and it will not be published
    BlobRecord record = {};
    std::uint64_t replaced = 0;  // bytes that Space counts for the record of before
  };
  using Batch = std::vector<Item>;

  void start();  // locked
  void wake(const base::Digest& digest);
  void drain();
  [[nodiscard]] Batch take();
  void publish(Batch& batch);
  void sync_each(Batch& batch);
  void move_each(Batch& batch, bool sync_all);
  void sync_moves(Batch& batch, bool sync_all);
  void fail_moved(Batch& batch, const base::Error& error);
  void take_back(Item& item, const base::Error& error);
  void submit(Item item);
  void finished(Item& item);

  Core& core_;
  std::mutex mutex_;
  std::deque<FinishedUpload> queue_;
  std::vector<FinishedUpload> deferred_;  // somebody else is at their place under blobs/
  bool running_ = false;
};

}  // namespace shoal::store
