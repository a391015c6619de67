#include "upload_publisher.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "blob_identity.h"
#include "core.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxBatch = 256;
constexpr std::size_t kSyncAllFrom = 4;  // moves: one sync of the filesystem instead of one for each file and directory

}  // namespace

void UploadPublisher::add(FinishedUpload upload) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(upload));
  start();
}

void UploadPublisher::start() {
  if (running_ || queue_.empty()) return;
  running_ = true;
  core_.post_disk([](Core& core) { core.publisher.drain(); });
}

void UploadPublisher::drain() {
  auto batch = take();
  publish(batch);
  for (auto& item : batch) submit(std::move(item));
  const std::lock_guard lock(mutex_);
  running_ = false;
  start();
}

// The place of that digest is free.
void UploadPublisher::wake(const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto waiting = [&digest](const FinishedUpload& upload) { return !(upload.digest == digest); };
  const auto first = std::stable_partition(deferred_.begin(), deferred_.end(), waiting);
  std::move(first, deferred_.end(), std::back_inserter(queue_));
  deferred_.erase(first, deferred_.end());
  start();
}

UploadPublisher::Batch UploadPublisher::take() {
  Batch batch;
  const std::lock_guard lock(mutex_);
  while (!queue_.empty() && batch.size() < kMaxBatch) {
    auto upload = std::move(queue_.front());
    queue_.pop_front();
    auto free = [weak = core_.weak_from_this(), digest = upload.digest] {
      if (const auto core = weak.lock()) core->publisher.wake(digest);
    };
    if (core_.guard->begin_publication(upload.digest, std::move(free))) {
      batch.push_back({std::move(upload)});
    } else {
      deferred_.push_back(std::move(upload));
    }
  }
  return batch;
}

void UploadPublisher::publish(Batch& batch) {
  auto& files = *core_.files;
  for (auto& item : batch) item.error = core_.health.refuses(item.upload.epoch);
  std::size_t moves = 0;
  for (auto& item : batch) {
    if (item.error) continue;
    const auto there = is_sound_blob(core_, item.upload.digest);
    if (!there.ok()) {  // nothing is put in the place of what may be sound
      item.error = there.error();
      continue;
    }
    item.move = !*there;
    if (item.move) {
      ++moves;
    } else if (files.remove(core_.layout.upload(item.upload.id)).ok()) {
      core_.space.give_back(item.upload.size);
    }
  }
  if (moves == 0) return;
  const bool sync_all = moves >= kSyncAllFrom;
  if (!sync_all) sync_each(batch);
  move_each(batch, sync_all);
  sync_moves(batch, sync_all);
  // The sync of an earlier batch may have told what became of the bytes of this one.
  for (auto& item : batch) {
    if (item.error || !item.move) continue;
    if (const auto refused = core_.health.refuses(item.upload.epoch)) {
      take_back(item, *refused);
    } else if (sync_all) {
      core_.shard_is_made(item.upload.digest) = true;
    }
  }
}

void UploadPublisher::sync_each(Batch& batch) {
  for (auto& item : batch) {
    if (item.error || !item.move || item.upload.synced) continue;
    if (auto synced = core_.files->sync(*item.upload.file); !synced.ok()) {
      if (synced.error().kind() != base::ErrorKind::full) core_.health.turn_read_only(synced.error());
      if (core_.doubtful.remove(core_.layout.upload(item.upload.id), Doubtful::Kind::upload)) {
        core_.space.give_back(item.upload.size);
      }
      item.error = synced.error();
    }
  }
}

void UploadPublisher::move_each(Batch& batch, bool sync_all) {
  auto& files = *core_.files;
  for (auto& item : batch) {
    if (item.error || !item.move) continue;
    const auto& digest = item.upload.digest;
    const auto from = core_.layout.upload(item.upload.id);
    base::Result<void> done;
    if (sync_all) {  // the directories are synced with the rest
      done = files.make_dir(core_.layout.algorithm_dir(digest.algorithm()));
      if (done.ok()) done = files.make_dir(core_.layout.blob_dir(digest));
    } else {
      done = core_.make_blob_dir(digest);
    }
    if (done.ok()) done = files.set_mode(from, 0440);
    if (done.ok()) done = files.rename(from, core_.layout.blob(digest));
    if (!done.ok()) {
      item.error = done.error();
      continue;
    }
    core_.unreadable.forget(digest);
    core_.doubtful.forget(core_.layout.blob(digest));
    core_.space.fill_to_blob(item.upload.size);
    const auto st = files.stat(core_.layout.blob(digest));
    if (!st.ok()) {
      item.error = st.error();
      if (files.remove(core_.layout.blob(digest)).ok()) core_.space.remove_blob(item.upload.size);
      continue;
    }
    const auto now = core_.clock.wall_now();
    item.replaced = counted_bytes(core_, digest);
    item.record = {.size = item.upload.size, .verified = now, .last_use = now, .uses = 1};
    set_identity(item.record, *st);
  }
}

void UploadPublisher::sync_moves(Batch& batch, bool sync_all) {
  if (sync_all) {
    if (auto synced = core_.files->sync_filesystem(core_.layout.root()); !synced.ok()) {
      return fail_moved(batch, synced.error());
    }
    return;
  }
  std::set<std::string> directories;
  for (const auto& item : batch) {
    if (!item.error && item.move) directories.insert(core_.layout.blob_dir(item.upload.digest));
  }
  for (const auto& directory : directories) {
    if (auto synced = core_.files->sync_dir(directory); !synced.ok()) return fail_moved(batch, synced.error());
  }
}

void UploadPublisher::fail_moved(Batch& batch, const base::Error& error) {
  if (!not_tried(error)) core_.health.turn_read_only(error);
  for (auto& item : batch) {
    if (!item.error && item.move) take_back(item, error);
  }
}

// From blobs/.
void UploadPublisher::take_back(Item& item, const base::Error& error) {
  const auto& digest = item.upload.digest;
  if (core_.doubtful.remove(core_.layout.blob(digest), Doubtful::Kind::blob, digest))
    core_.space.remove_blob(item.upload.size);
  item.error = error;
}

void UploadPublisher::submit(Item item) {
  item.upload.file.reset();
  if (item.error) return finished(item);
  auto shared = std::make_shared<Item>(std::move(item));  // with the job's two functions
  core_.writer->submit({[this, shared](IndexEdit& edit) {
                          const auto& upload = shared->upload;
                          if (shared->move) edit.put_blob(upload.digest, shared->record);
                          edit.put_link(upload.repository, upload.digest, {upload.size, true, true});
                          core_.shield.note(upload.repository, upload.digest);
                          if (upload.recorded) (void)edit.txn().erase(Table::uploads, upload.id);
                        },
                        [this, shared](base::Result<void> committed) {
                          if (!committed.ok()) {
                            shared->error = committed.error();
                            if (shared->move && core_.files->remove(core_.layout.blob(shared->upload.digest)).ok()) {
                              core_.space.remove_blob(shared->upload.size);
                            }
                          } else {
                            core_.space.remove_blob(shared->replaced);
                          }
                          finished(*shared);
                        }});
}

void UploadPublisher::finished(Item& item) {
  auto& upload = item.upload;
  if (item.error) {
    const auto path = core_.layout.upload(upload.id);  // unless it was moved
    if (core_.files->remove(path).ok()) core_.space.give_back(upload.size);
    if (upload.recorded) {
      core_.writer->submit({[id = upload.id](IndexEdit& edit) { (void)edit.txn().erase(Table::uploads, id); }, {}});
    }
  }
  core_.uploads.forget(upload.id);
  core_.guard->end_publication(upload.digest);
  if (item.error) {
    upload.answer(item.error->at("publish", upload.digest.to_string()));
  } else {
    upload.answer({});
  }
}

}  // namespace shoal::store
