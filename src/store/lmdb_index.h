// LmdbIndex: the LMDB environment behind a small C++ face. Only lmdb_index.cc includes lmdb.h.
//
// Reads: any thread, never wait for the writer. A ReadTxn lives within one call and one thread; its transaction object
// goes back to a pool (reset, later renewed), so that a read costs no reader slot search. Views that get() and Cursor
// return point into the map and end with the transaction. Writes: one thread, one WriteTxn at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/result.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace shoal::store {

enum class Table : unsigned {
  meta,
  blobs,
  manifests,
  manifest_use,
  tags,
  links,
  holders,
  absent,
  state,
  uploads,
  hosted,
  referrers
};
inline constexpr std::size_t kTables = 12;

class LmdbIndex;

// Walks a table in key order. Writing through the transaction ends the views; seek again afterwards.
class Cursor {
 public:
  Cursor(MDB_txn* txn, unsigned dbi, bool& failed);  // `failed` is set by what goes wrong, the end of the table apart
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  bool seek(std::string_view key);  // to the first key not less; false: none. "" goes to the first
  bool next();
  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] std::string_view value() const { return value_; }

 private:
  bool move(int operation, std::string_view key);
  MDB_cursor* cursor_ = nullptr;
  bool& failed_;
  std::string_view key_, value_;
};

class Txn {
 public:
  // False: something could not be read, and nothing can be concluded from what was not found. Ask after the reads.
  [[nodiscard]] bool ok() const { return txn_ != nullptr && !failed_; }
  [[nodiscard]] std::optional<std::string_view> get(Table table, std::string_view key) const;
  [[nodiscard]] Cursor cursor(Table table) const;
  [[nodiscard]] std::uint64_t entries(Table table) const;
  [[nodiscard]] std::uint64_t used_bytes() const;  // pages in use, all tables

 protected:
  Txn(const LmdbIndex& index, MDB_txn* txn) : index_(index), txn_(txn) {}
  ~Txn() = default;
  const LmdbIndex& index_;
  MDB_txn* txn_;  // null: could not begin; then everything is absent
  mutable bool failed_ = false;
};

class ReadTxn final : public Txn {
 public:
  ReadTxn(const LmdbIndex& index, MDB_txn* txn) : Txn(index, txn) {}
  ~ReadTxn();
  ReadTxn(const ReadTxn&) = delete;
  ReadTxn& operator=(const ReadTxn&) = delete;
};

// The first failure sticks: later operations do nothing and commit() answers it. Dropping it aborts.
// ErrorKind::full: the map (or the disk) is full, nothing of it was written; anything else: the environment is broken.
class WriteTxn final : public Txn {
 public:
  WriteTxn(const LmdbIndex& index, MDB_txn* txn, int error) : Txn(index, txn), error_(error) {}
  ~WriteTxn();
  WriteTxn(const WriteTxn&) = delete;
  WriteTxn& operator=(const WriteTxn&) = delete;
  void put(Table table, std::string_view key, std::string_view value);
  bool erase(Table table, std::string_view key);  // false: was not there
  [[nodiscard]] bool failed() const { return error_ != 0; }
  // A page that it had to look at is damaged. Nothing of it was written, and one that looks elsewhere may succeed.
  [[nodiscard]] bool met_damage() const;
  [[nodiscard]] base::Result<void> commit();

 private:
  [[nodiscard]] bool read_failed_first() const;
  int error_;
};

class LmdbIndex {
 public:
  [[nodiscard]] static base::Result<std::unique_ptr<LmdbIndex>> open(const std::string& directory,
                                                                     std::uint64_t map_size);
  ~LmdbIndex();
  LmdbIndex(const LmdbIndex&) = delete;
  LmdbIndex& operator=(const LmdbIndex&) = delete;

  [[nodiscard]] ReadTxn read() const;
  [[nodiscard]] WriteTxn write() const;
  [[nodiscard]] std::uint64_t failed_reads() const { return failed_reads_; }  // transactions that were not ok()
  // By the writing thread, outside a transaction: as if the process started again, because LMDB gives up an environment
  // whose meta page it could not write (nothing can be read either then). Reads that begin meanwhile are not ok();
  // waits for those that run, up to a second. After an error the index is either as before (ErrorKind::busy) or nothing
  // can be read or written until the next call.
  [[nodiscard]] base::Result<void> reopen();
  [[nodiscard]] std::uint64_t map_size() const { return map_size_; }

 private:
  friend class Txn;
  friend class ReadTxn;
  friend class WriteTxn;
  LmdbIndex(std::string directory, std::uint64_t map_size);
  [[nodiscard]] base::Result<void> open_environment();
  void close_environment();  // nobody reads
  void let_in(bool readers);
  [[nodiscard]] bool is_being_read() const;
  [[nodiscard]] unsigned dbi(Table table) const { return dbis_[static_cast<std::size_t>(table)]; }
  struct Shard;
  Shard& shard() const;

  static constexpr std::size_t kShards = 16;  // of the pool, by thread
  std::string directory_;
  MDB_env* env_ = nullptr;
  std::array<unsigned, kTables> dbis_{};
  std::uint64_t map_size_ = 0;
  mutable std::atomic<std::uint64_t> failed_reads_{0};
  mutable std::atomic<bool> told_{false};  // the log, that nothing can be read
  std::unique_ptr<std::array<Shard, kShards>> shards_;
};

}  // namespace shoal::store
