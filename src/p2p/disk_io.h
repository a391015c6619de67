// DiskIo: libtorrent's disk back-end over blobs that are open already (shared_blob.h): no paths and files of its own,
// no re-check, one copy, and nothing unproven in it. Made by the session, owned by it, destroyed after its network
// thread has ended.
//
// A piece that peers bring is put together in memory (piece_buffers.h); when it is whole, libtorrent asks for its hash,
// a worker hashes the buffer and compares with the piece map, or waits for the entry; a match is written, once, through
// the PieceFile. Only then are the writes of its blocks answered, and the hash with the placeholder. Any other piece
// (bad, no entry in time, no room) is answered as if its writes had been cancelled: libtorrent 2.0.8 then puts the
// blocks back to "not asked for" and blames nobody; a wrong hash would make it ban peers on its own account.
//
// Threads: every async_* runs on the network thread and does no I/O there, but for reads that the page cache answers
// at once (preadv2 RWF_NOWAIT). Answers come back through the NetworkQueue.
#pragma once

#include <atomic>
#include <functional>
#include <libtorrent/disk_interface.hpp>
#include <memory>
#include <vector>

#include "blob_table.h"
#include "disk_workers.h"
#include "network_queue.h"
#include "peer_proof.h"
#include "piece_buffers.h"

namespace shoal::p2p {

struct DiskOptions {
  unsigned workers = 2;
  std::size_t memory = 128 << 20;              // of pieces that are not in the file yet
  std::chrono::milliseconds map_wait{10'000};  // how long a whole piece waits for its entry
};

class DiskIo final : public lt::disk_interface {
 public:
  DiskIo(lt::io_context& io, std::shared_ptr<BlobTable> table, std::shared_ptr<PeerGate> gate, DiskOptions options);
  ~DiskIo() override;

  lt::storage_holder new_torrent(lt::storage_params const& params, std::shared_ptr<void> const& torrent) override;
  void remove_torrent(lt::storage_index_t storage) override;
  void async_read(lt::storage_index_t storage, lt::peer_request const& r,
                  std::function<void(lt::disk_buffer_holder, lt::storage_error const&)> handler,
                  lt::disk_job_flags_t flags) override;
  bool async_write(lt::storage_index_t storage, lt::peer_request const& r, char const* buf,
                   std::shared_ptr<lt::disk_observer> observer, std::function<void(lt::storage_error const&)> handler,
                   lt::disk_job_flags_t flags) override;
  void async_hash(lt::storage_index_t storage, lt::piece_index_t piece, lt::span<lt::sha256_hash> v2,
                  lt::disk_job_flags_t flags,
                  std::function<void(lt::piece_index_t, lt::sha1_hash const&, lt::storage_error const&)>) override;
  void async_hash2(lt::storage_index_t storage, lt::piece_index_t piece, int offset, lt::disk_job_flags_t flags,
                   std::function<void(lt::piece_index_t, lt::sha256_hash const&, lt::storage_error const&)>) override;
  void async_move_storage(lt::storage_index_t storage, std::string path, lt::move_flags_t flags,
                          std::function<void(lt::status_t, std::string const&, lt::storage_error const&)>) override;
  void async_release_files(lt::storage_index_t storage, std::function<void()> handler) override;
  void async_check_files(lt::storage_index_t storage, lt::add_torrent_params const* resume,
                         lt::aux::vector<std::string, lt::file_index_t> links,
                         std::function<void(lt::status_t, lt::storage_error const&)> handler) override;
  void async_stop_torrent(lt::storage_index_t storage, std::function<void()> handler) override;
  void async_rename_file(lt::storage_index_t storage, lt::file_index_t index, std::string name,
                         std::function<void(std::string const&, lt::file_index_t, lt::storage_error const&)>) override;
  void async_delete_files(lt::storage_index_t storage, lt::remove_flags_t options,
                          std::function<void(lt::storage_error const&)> handler) override;
  void async_set_file_priority(
      lt::storage_index_t storage, lt::aux::vector<lt::download_priority_t, lt::file_index_t> prio,
      std::function<void(lt::storage_error const&, lt::aux::vector<lt::download_priority_t, lt::file_index_t>)>)
      override;
  void async_clear_piece(lt::storage_index_t storage, lt::piece_index_t piece,
                         std::function<void(lt::piece_index_t)> handler) override;
  void update_stats_counters(lt::counters&) const override {}
  std::vector<lt::open_file_state> get_status(lt::storage_index_t) const override { return {}; }
  void abort(bool wait) override;
  void submit_jobs() override {}
  void settings_updated() override {}

 private:
  using HashDone = std::function<void(lt::piece_index_t, lt::sha1_hash const&, lt::storage_error const&)>;
  struct Whole;  // a whole piece on its way
  enum class Fate { good, dropped };
  struct Observer {  // a connection that does not read until there is room
    std::weak_ptr<lt::disk_observer> peer;
    std::uint32_t storage;
  };

  [[nodiscard]] std::shared_ptr<SharedBlob> blob_of(lt::storage_index_t storage) const;
  [[nodiscard]] static std::size_t key_of(std::uint32_t storage, std::uint32_t piece) { return storage * 7 + piece; }
  // A worker's.
  void judge(const std::shared_ptr<Whole>& whole);
  void punish(const std::shared_ptr<Whole>& whole, const Judgement& judgement);
  void settle(const std::shared_ptr<Whole>& whole, Fate fate);  // any thread
  // Network thread.
  void drop(const std::shared_ptr<PieceBuffer>& unfinished);
  void wake_observers();

  const DiskOptions options_;
  const std::shared_ptr<BlobTable> table_;
  const std::shared_ptr<PeerGate> gate_;
  const std::shared_ptr<NetworkQueue> queue_;
  std::vector<std::shared_ptr<SharedBlob>> storages_;  // null: a free slot
  std::vector<lt::storage_index_t> free_slots_;
  PieceBuffers buffers_;
  std::vector<Observer> observers_;
  bool nowait_works_ = true;
  bool in_memory_ = false;  // the store is in a tmpfs, which does not know RWF_NOWAIT
  bool aborted_ = false;
  DiskWorkers workers_;  // last: its threads use the rest
};

}  // namespace shoal::p2p
