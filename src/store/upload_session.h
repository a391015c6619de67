// UploadSession: the disk side of one push in progress: the file uploads/<id> and its running hash. Kept by the
// UploadRegistry between requests, so that a push goes on without being read again; the descriptor is closed meanwhile.
//
// Everything but the atomics and run() happens on the session's strand. One holder (LocalUpload) is in charge: each op
// names its holder, and one of a former holder is refused.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "shoal/base/byte_source.h"
#include "shoal/base/clock.h"
#include "shoal/base/digest.h"
#include "shoal/base/loop.h"
#include "shoal/base/result.h"
#include "shoal/base/unique_function.h"

namespace shoal::store {

struct Core;

class UploadSession : public std::enable_shared_from_this<UploadSession> {
 public:
  template <class T>
  using Answer = base::UniqueFunction<void(base::Result<T>)>;
  enum class Origin { new_push, earlier_run };

  UploadSession(Core& core, std::string id, std::string repository, base::WallTime started, Origin origin);

  // --- any thread ---
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::string& repository() const { return repository_; }
  [[nodiscard]] std::uint64_t take_charge();  // the new holder's number
  void touch(base::WallTime now) { touched_ = now.time_since_epoch().count(); }
  [[nodiscard]] base::WallTime touched() const { return base::WallTime(base::WallTime::duration(touched_.load())); }
  [[nodiscard]] bool over() const { return over_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  // Posts to the strand. A session of an earlier run is hashed first, unless `read` says that the work does without.
  enum class Read { first, not_needed };
  void run(base::UniqueFunction<void(UploadSession&)> work, Read read = Read::first);

  // --- on the strand ---
  [[nodiscard]] std::optional<base::Error> refuses(std::uint64_t holder) const;
  [[nodiscard]] std::uint64_t length() const { return length_; }
  void append(const std::string& bytes, Answer<std::uint64_t> answer);
  void finish(const base::Digest& digest, Answer<void> answer);
  enum class Bytes { plain, doubtful };  // their sync failed
  void cancel(Bytes bytes = Bytes::plain);
  void rest(std::uint64_t holder);  // the holder goes: nothing is open until the next one
  void remember();                  // in the index, if it is not there; does not wait

 private:
  using Work = base::UniqueFunction<void(UploadSession&)>;
  void post(Work work);
  void run_now(Work work, Read read);
  void next_turn(Work work);
  void end_busy();
  void find_kept();
  void hash_kept();
  void hash_again(const base::Digest& digest, std::uint64_t offset, Answer<void> answer);
  void conclude(const base::Digest& digest, bool matches, Answer<void> answer);
  [[nodiscard]] base::Result<void> need_file();
  [[nodiscard]] base::Result<void> write(const std::string& bytes);
  [[nodiscard]] base::Result<void> cut_tail();

  Core& core_;  // outlives the session's work: post() sees to it
  const std::string id_;
  const std::string repository_;
  const base::WallTime started_;
  const std::uint64_t epoch_;  // of Health: what was written before a failure may be lost
  const std::string path_;
  base::Strand strand_;
  std::atomic<std::uint64_t> holder_{0};
  std::atomic<base::WallTime::rep> touched_;
  std::atomic<bool> over_{false};

  // On the strand:
  std::deque<Work> waiting_;           // while busy_
  bool busy_ = false;                  // hashes in turns
  std::optional<base::Error> unread_;  // why an earlier run's file could not be opened just now
  bool known_;                         // length_ and hasher_ tell of the file; false after a restart
  bool recorded_;
  bool tail_ = false;  // a failed write may have left bytes behind length_
  std::shared_ptr<const base::File> file_;
  std::uint64_t length_ = 0;        // written and hashed
  std::uint64_t written_back_ = 0;  // write-back was started up to here
  base::Hasher hasher_{base::HashAlgorithm::sha256};
  std::optional<base::Hasher> other_hasher_;  // of finish() with another algorithm
};

}  // namespace shoal::store
