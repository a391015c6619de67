#include "lmdb_index.h"

#include <lmdb.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "shoal/obs/log.h"

namespace shoal::store {
namespace {

constexpr const char* kTableNames[kTables] = {"meta",    "blobs",  "manifests", "manifest_use", "tags",   "links",
                                              "holders", "absent", "state",     "uploads",      "hosted", "referrers"};
constexpr unsigned kMaxReaders = 1022;

MDB_val to_val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view to_view(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }

// A key that is too long for the index is not in it.
bool is_absent(int code) { return code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE; }

base::Error to_error(int code, std::string_view operation) {
  const bool no_room = code == MDB_MAP_FULL || code == MDB_TXN_FULL || code == ENOSPC || code == EDQUOT;
  return base::Error(no_room ? base::ErrorKind::full : base::ErrorKind::gone, mdb_strerror(code)).at(operation);
}

}  // namespace

struct LmdbIndex::Shard {
  std::mutex mutex;
  std::vector<MDB_txn*> idle;
  unsigned reading = 0;
  bool open = false;
};

Cursor::Cursor(MDB_txn* txn, unsigned dbi, bool& failed) : failed_(failed) {
  if (txn != nullptr && mdb_cursor_open(txn, dbi, &cursor_) == 0) return;
  cursor_ = nullptr;
  failed_ = true;
}

Cursor::~Cursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

bool Cursor::move(int operation, std::string_view key) {
  if (cursor_ == nullptr) return false;
  MDB_val k = to_val(key);
  MDB_val v{};
  if (const int code = mdb_cursor_get(cursor_, &k, &v, static_cast<MDB_cursor_op>(operation)); code != 0) {
    failed_ = failed_ || !is_absent(code);
    return false;
  }
  key_ = to_view(k);
  value_ = to_view(v);
  return true;
}

bool Cursor::seek(std::string_view key) { return key.empty() ? move(MDB_FIRST, {}) : move(MDB_SET_RANGE, key); }

bool Cursor::next() { return move(MDB_NEXT, {}); }

std::optional<std::string_view> Txn::get(Table table, std::string_view key) const {
  if (txn_ == nullptr || key.empty()) return std::nullopt;
  MDB_val k = to_val(key);
  MDB_val v{};
  const int code = mdb_get(txn_, index_.dbi(table), &k, &v);
  if (code == 0) return to_view(v);
  failed_ = failed_ || !is_absent(code);
  return std::nullopt;
}

Cursor Txn::cursor(Table table) const { return Cursor(txn_, txn_ == nullptr ? 0 : index_.dbi(table), failed_); }

std::uint64_t Txn::entries(Table table) const {
  MDB_stat stat{};
  if (txn_ == nullptr || mdb_stat(txn_, index_.dbi(table), &stat) != 0) return 0;
  return stat.ms_entries;
}

std::uint64_t Txn::used_bytes() const {
  if (txn_ == nullptr) return 0;
  std::uint64_t pages = 4;  // two meta pages, the tables' own table
  unsigned page_size = 4096;
  for (const unsigned dbi : index_.dbis_) {
    MDB_stat stat{};
    if (mdb_stat(txn_, dbi, &stat) != 0) continue;
    pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    page_size = stat.ms_psize;
  }
  return pages * page_size;
}

ReadTxn::~ReadTxn() {
  if (!ok()) ++index_.failed_reads_;
  if (txn_ == nullptr) return;
  mdb_txn_reset(txn_);
  auto& shard = index_.shard();
  const std::lock_guard lock(shard.mutex);
  shard.idle.push_back(txn_);
  --shard.reading;
}

WriteTxn::~WriteTxn() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

void WriteTxn::put(Table table, std::string_view key, std::string_view value) {
  if (error_ != 0) return;
  MDB_val k = to_val(key);
  MDB_val v = to_val(value);
  error_ = mdb_put(txn_, index_.dbi(table), &k, &v, 0);
}

bool WriteTxn::erase(Table table, std::string_view key) {
  if (error_ != 0) return false;
  MDB_val k = to_val(key);
  const int code = mdb_del(txn_, index_.dbi(table), &k, nullptr);
  if (code != 0 && code != MDB_NOTFOUND) error_ = code;
  return code == 0;
}

// Not of a commit that found damage itself: no other would do better.
bool WriteTxn::met_damage() const {
  return txn_ != nullptr && (read_failed_first() || error_ == MDB_CORRUPTED || error_ == MDB_PAGE_NOTFOUND);
}

// Each error spoils the transaction for what follows: reads fail after a write did, and writes with MDB_BAD_TXN after a
// read.
bool WriteTxn::read_failed_first() const { return failed_ && (error_ == 0 || error_ == MDB_BAD_TXN); }

base::Result<void> WriteTxn::commit() {
  if (read_failed_first()) {
    return base::Error(base::ErrorKind::gone, "what it has to look at cannot be read").at("write index");
  }
  if (error_ != 0) return to_error(error_, "write index");
  error_ = mdb_txn_commit(std::exchange(txn_, nullptr));  // frees it in any case
  if (error_ != 0) return to_error(error_, "commit index");
  return {};
}

LmdbIndex::LmdbIndex(std::string directory, std::uint64_t map_size)
    : directory_(std::move(directory)), shards_(std::make_unique<std::array<Shard, kShards>>()) {
  constexpr std::uint64_t kPage = 4096;
  map_size_ = std::max<std::uint64_t>((map_size + kPage - 1) / kPage * kPage, 256 * kPage);
}

base::Result<std::unique_ptr<LmdbIndex>> LmdbIndex::open(const std::string& directory, std::uint64_t map_size) {
  std::unique_ptr<LmdbIndex> index(new LmdbIndex(directory, map_size));
  if (auto opened = index->open_environment(); !opened.ok()) return opened.error();
  index->let_in(true);
  return index;
}

base::Result<void> LmdbIndex::open_environment() {
  int code = mdb_env_create(&env_);
  if (code != 0) return to_error(code, "create index");
  (void)mdb_env_set_maxdbs(env_, kTables);  // cannot fail before open
  (void)mdb_env_set_maxreaders(env_, kMaxReaders);
  code = mdb_env_set_mapsize(env_, map_size_);
  // NOTLS: a read transaction belongs to the object, not the thread, so that it can be pooled.
  if (code == 0) code = mdb_env_open(env_, directory_.c_str(), MDB_NOTLS | MDB_NORDAHEAD, 0640);
  if (code != 0) return to_error(code, "open index").at("open store", directory_);
  int dead = 0;
  (void)mdb_reader_check(env_, &dead);  // best effort: slots of a process that was killed

  MDB_txn* txn = nullptr;
  code = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (code != 0) return to_error(code, "open index").at("open store", directory_);
  for (std::size_t i = 0; i < kTables && code == 0; ++i) {
    code = mdb_dbi_open(txn, kTableNames[i], MDB_CREATE, &dbis_[i]);
  }
  if (code != 0) {
    mdb_txn_abort(txn);
    return to_error(code, "open index tables").at("open store", directory_);
  }
  code = mdb_txn_commit(txn);
  if (code != 0) return to_error(code, "open index tables").at("open store", directory_);
  return {};
}

void LmdbIndex::close_environment() {
  if (env_ == nullptr) return;
  for (auto& shard : *shards_) {
    for (MDB_txn* txn : shard.idle) mdb_txn_abort(txn);
    shard.idle.clear();
  }
  mdb_env_close(std::exchange(env_, nullptr));
}

LmdbIndex::~LmdbIndex() { close_environment(); }

void LmdbIndex::let_in(bool readers) {
  for (auto& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.open = readers;
  }
}

bool LmdbIndex::is_being_read() const {
  return std::any_of(shards_->begin(), shards_->end(), [](Shard& shard) {
    const std::lock_guard lock(shard.mutex);
    return shard.reading > 0;
  });
}

base::Result<void> LmdbIndex::reopen() {
  constexpr int kPatienceMs = 1000;
  let_in(false);
  for (int waited = 0; is_being_read(); ++waited) {
    if (waited == kPatienceMs) {
      let_in(true);
      return base::Error(base::ErrorKind::busy, "the index is being read").at("open index again");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  close_environment();
  auto opened = open_environment();
  if (opened.ok()) {
    let_in(true);
  } else {
    close_environment();
  }
  return opened;
}

LmdbIndex::Shard& LmdbIndex::shard() const {
  static thread_local const std::size_t slot = std::hash<std::thread::id>()(std::this_thread::get_id());
  return (*shards_)[slot % kShards];
}

ReadTxn LmdbIndex::read() const {
  MDB_txn* txn = nullptr;
  auto& pool = shard();
  {
    const std::lock_guard lock(pool.mutex);
    if (!pool.open) return ReadTxn(*this, nullptr);
    ++pool.reading;
    if (!pool.idle.empty()) {
      txn = pool.idle.back();
      pool.idle.pop_back();
    }
  }
  int code = 0;
  if (txn != nullptr) {
    code = mdb_txn_renew(txn);
    if (code != 0) mdb_txn_abort(std::exchange(txn, nullptr));
  } else {
    code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
    if (code != 0) txn = nullptr;
  }
  if (code == 0) {
    if (told_.load(std::memory_order_relaxed)) told_ = false;
  } else {
    if (!told_.exchange(true)) obs::error(obs::Category::store, "read index: {}", mdb_strerror(code));
    const std::lock_guard lock(pool.mutex);
    --pool.reading;
  }
  return ReadTxn(*this, txn);
}

WriteTxn LmdbIndex::write() const {
  MDB_txn* txn = nullptr;
  const int code = env_ == nullptr ? EIO : mdb_txn_begin(env_, nullptr, 0, &txn);
  return WriteTxn(*this, code == 0 ? txn : nullptr, code);
}

}  // namespace shoal::store
