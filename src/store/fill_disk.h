// FillDisk: the disk side of one fill. Everything but abandon() runs on the digest's strand, through
// run(); what is asked for while open() still hashes waits its turn. Answers are given on the strand.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "core.h"

namespace shoal::store {

class FillDisk : public std::enable_shared_from_this<FillDisk> {
 public:
  template <class T>
  using Answer = base::UniqueFunction<void(base::Result<T>)>;
  struct Opened {
    std::shared_ptr<const base::File> file;
    std::uint64_t length = 0;
  };

  FillDisk(std::shared_ptr<Core> core, std::shared_ptr<FillSlot> slot);

  void run(base::UniqueFunction<void(FillDisk&)> work);  // any thread; posts to the strand
  void abandon() { abandoned_ = true; }                  // any thread: stop hashing what was kept

  void open(std::optional<std::uint64_t> size, Answer<Opened> answer);
  void append(const std::string& bytes, Answer<std::uint64_t> answer);
  void keep_no_more();  // further appends answer full
  void verify(Answer<bool> answer);
  void publish(const std::string& repository, Answer<OpenBlob> answer);
  void restart(const std::string& reason, Answer<Opened> answer);
  void remove();

 private:
  void run_now(base::UniqueFunction<void(FillDisk&)> work);
  void next_turn(base::UniqueFunction<void(FillDisk&)> work);
  void find_kept(std::optional<std::uint64_t> size);
  void adopt_blob_file();
  [[nodiscard]] base::Result<void> take_kept_file(std::optional<std::uint64_t> size);
  [[nodiscard]] base::Result<void> start_empty();
  void hash_kept();
  void finish_open(base::Result<Opened> result);
  [[nodiscard]] base::Result<void> write(const std::string& bytes);
  void publish_link(const std::string& repository, Answer<OpenBlob> answer);
  [[nodiscard]] base::Result<BlobRecord> move_to_blobs();

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<FillSlot> slot_;  // goes before core_
  const base::Digest digest_;
  const std::string path_;
  std::atomic<bool> abandoned_{false};

  // On the strand:
  std::deque<base::UniqueFunction<void(FillDisk&)>> waiting_;  // while opening_
  bool opening_ = false;
  Answer<Opened> open_answer_;
  std::shared_ptr<const base::File> file_;
  std::uint64_t length_ = 0;        // written and hashed
  std::uint64_t kept_ = 0;          // of the file found by open(), being hashed
  std::uint64_t written_back_ = 0;  // write-back was started up to here
  base::Hasher hasher_;
  std::optional<base::Error> lost_;  // bytes were not kept since
  std::optional<bool> verified_;     // the hash is spent
  bool published_ = false;
};

}  // namespace shoal::store
