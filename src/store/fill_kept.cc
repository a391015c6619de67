// FillDisk, what it begins with: what an earlier fill of the digest left, or a blob file that wants to be checked.
#include "fill_disk.h"

namespace shoal::store {

void FillDisk::find_kept(std::optional<std::uint64_t> size) {
  if (!reading_) return;
  if (abandoned_) return stop_reading();  // another fill may have begun since
  auto again = [self = shared_from_this(), size] { self->next_turn([size](FillDisk& fill) { fill.find_kept(size); }); };
  if (!core_->guard->begin_publication(digest_, std::move(again))) return;  // a removal or a push is at the old file
  const bool adopted = !core_->files->stat(path_).ok() && adopt_blob_file();
  core_->guard->end_publication(digest_);
  if (auto taken = take_kept_file(size, !adopted); !taken.ok()) return finish_reading(taken.error());
  hash_kept();
}

// A blob file whose record is missing or not about it, or one that somebody wants checked: becomes the fill.
bool FillDisk::adopt_blob_file() {
  const auto blob_path = core_->layout.blob(digest_);
  // An eviction whose commit is still to come has taken the bytes off already. Looked at before the record: no removal
  // begins while we are here.
  const bool going = core_->guard->removing(digest_);
  std::optional<BlobRecord> record;
  {
    const auto txn = core_->index->read();
    if (!txn.ok()) return false;  // nothing is known of the file
    record = IndexView(txn).blob(digest_);
  }
  const auto st = core_->files->stat(blob_path);
  // Its only copy, perhaps, and perhaps sound though touched: not put at stake. publish() replaces an unsound one.
  if (record && record->hosted && st.ok()) return false;
  const bool stays = record && !going && !erase_record(*record);
  if (!st.ok() || core_->doubtful.is(blob_path, st->st_ino)) return false;
  // Not movable, not writable: then it stays an orphan, and the fill starts from nothing.
  if (!core_->files->set_mode(blob_path, 0640).ok() || !core_->files->rename(blob_path, path_).ok()) return false;
  core_->space.add_fill(static_cast<std::uint64_t>(st->st_size));
  if (stays) {
    uncounted_ = record->size;
    core_->space.remove_blob(uncounted_);
  }
  return true;
}

// What must stay keeps its record, which passes to the next file. Done when it returns: who publishes counts records.
bool FillDisk::erase_record(const BlobRecord& record) {
  bool erased = false;
  const auto committed = core_->writer->submit_and_wait([this, &record, &erased](IndexEdit& edit) {
    const auto now = edit.view().blob(digest_);
    erased = now && same_file(*now, record) && !is_kept(*now);
    if (erased) edit.erase_blob(digest_, record);
  });
  if (!committed.ok() || !erased) return false;
  core_->space.remove_blob(record.size);
  return true;
}

base::Result<void> FillDisk::take_kept_file(std::optional<std::uint64_t> size, bool may_have_holes) {
  const auto st = core_->files->stat(path_);
  if (!st.ok()) return start_empty();
  const auto kept = static_cast<std::uint64_t>(st->st_size);
  room_->found(kept);
  if (!S_ISREG(st->st_mode) || (size && kept > *size)) return start_empty();
  if (core_->doubtful.is(path_, st->st_ino)) return start_empty();
  auto opened = core_->files->open(path_);
  if (!opened.ok()) {
    if (opened.error().kind() == base::ErrorKind::busy) {  // no descriptor left: that says nothing about the file
      lost_ = base::Error(base::ErrorKind::full, opened.error().message()).at("keep", digest_.to_string());
      return opened.error();
    }
    return start_empty();
  }
  // Of an earlier run, which may have failed to sync it and to remove it. Of this one, Doubtful would know.
  if (!may_have_holes || changed_at(*st) < core_->opened_at) core_->files->forget_pages(**opened);
  take_file(std::move(opened).value());
  kept_ = kept;
  // A kill leaves the pieces that were ahead. A blob that some filesystem keeps with holes was whole.
  if (may_have_holes) {
    if (const auto whole = size_before_hole(*file_, kept); whole < kept) {
      if (!cut(whole).ok()) return start_empty();
      kept_ = whole;
    }
  }
  return {};
}

}  // namespace shoal::store
