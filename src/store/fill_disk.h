// FillDisk: the disk side of one fill. Everything but abandon() and leave() runs on the digest's strand, through
// run(); what is asked for while open() or absorb() still hashes waits its turn. Answers are given on the strand.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "core.h"
#include "piece_writer.h"

namespace shoal::store {

class FillDisk : public std::enable_shared_from_this<FillDisk> {
 public:
  template <class T>
  using Answer = base::UniqueFunction<void(base::Result<T>)>;
  struct Opened {
    std::shared_ptr<LocalPieces> pieces;  // and the file
    std::uint64_t length = 0;
  };

  FillDisk(std::shared_ptr<Core> core, std::shared_ptr<FillSlot> slot);
  ~FillDisk();
  FillDisk(const FillDisk&) = delete;
  FillDisk& operator=(const FillDisk&) = delete;

  void run(base::UniqueFunction<void(FillDisk&)> work);  // any thread; posts to the strand
  void abandon() { abandoned_ = true; }                  // any thread: stop hashing what is there
  // Any thread; the last: behind what was posted, but not behind an open() or absorb() that still hashes. No piece is
  // written from then on, and the file ends where it is known to be whole; or it goes.
  void leave(bool discard);

  void open(std::optional<std::uint64_t> size, Answer<Opened> answer);
  void append(const std::string& bytes, Answer<std::uint64_t> answer);
  void keep_no_more();  // further appends answer full
  void absorb(std::uint64_t end, Answer<std::uint64_t> answer);
  void verify(Answer<bool> answer);
  void publish(const std::string& repository, Answer<OpenBlob> answer);
  void restart(const std::string& reason, Answer<Opened> answer);

 private:
  void run_now(base::UniqueFunction<void(FillDisk&)> work);
  void next_turn(base::UniqueFunction<void(FillDisk&)> work);
  void find_kept(std::optional<std::uint64_t> size);
  [[nodiscard]] bool adopt_blob_file();
  [[nodiscard]] bool erase_record(const BlobRecord& record);  // false: it stays
  void count_record_again();
  [[nodiscard]] base::Result<void> take_kept_file(std::optional<std::uint64_t> size, bool may_have_holes);
  [[nodiscard]] base::Result<void> start_empty();
  void take_file(std::shared_ptr<const base::File> file);
  void lose(const base::Error& why);
  void hash_kept();
  void kept_is_wrong(bool ends_early);
  void finish_reading(base::Result<void> result);
  void stop_reading();
  void start_writeback();
  [[nodiscard]] base::Result<void> cut(std::uint64_t end);
  void leave_now(bool discard);
  void publish_link(const std::string& repository, Answer<OpenBlob> answer);
  [[nodiscard]] base::Error unpublished(const base::Error& why);
  [[nodiscard]] base::Result<void> sync_file();
  [[nodiscard]] base::Result<BlobRecord> move_to_blobs();

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<FillSlot> slot_;  // goes before core_
  const base::Digest digest_;
  const std::string path_;
  std::atomic<bool> abandoned_{false};

  // On the strand:
  std::deque<base::UniqueFunction<void(FillDisk&)>> waiting_;  // while reading_
  bool reading_ = false;                                       // open() or absorb() is not done
  bool left_ = false;                                          // nothing more is done for its owner
  Answer<Opened> open_answer_;
  Answer<std::uint64_t> absorb_answer_;
  const std::shared_ptr<FillRoom> room_;  // shared with pieces_
  std::shared_ptr<const base::File> file_;
  std::shared_ptr<LocalPieces> pieces_;  // of file_; shared with who places pieces
  std::uint64_t length_ = 0;             // written and hashed
  std::uint64_t hashed_ = 0;             // the same, until bytes are lost; then it goes on alone
  std::uint64_t kept_ = 0;               // there before it is hashed: found by open(), or placed and to be absorbed
  std::uint64_t written_back_ = 0;       // write-back was started up to here
  base::Hasher hasher_;
  std::optional<base::Error> lost_;  // bytes were not kept since
  std::optional<bool> verified_;     // the hash is spent
  bool published_ = false;           // the file is not at path_ any more, nor to be written
  std::uint64_t uncounted_ = 0;      // of a record that stays, while its file counts as this fill's
};

}  // namespace shoal::store
