#include "disk_io.h"

#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/disk_observer.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/storage_defs.hpp>

namespace shoal::p2p {
namespace {

// Stateless and immortal: a send buffer may be freed after the disk back-end is gone.
struct Buffers final : lt::buffer_allocator_interface {
  void free_disk_buffer(char* buffer) override { std::free(buffer); }
  static Buffers& instance() {
    static Buffers buffers;
    return buffers;
  }
};

lt::disk_buffer_holder allocate(int size) {
  char* raw = static_cast<char*>(std::malloc(static_cast<std::size_t>(std::max(size, lt::default_block_size))));
  return lt::disk_buffer_holder(Buffers::instance(), raw, raw == nullptr ? 0 : size);
}

lt::storage_error failure(int code, lt::operation_t operation) {
  lt::storage_error error;
  error.ec = lt::error_code(code, boost::system::system_category());
  error.operation = operation;
  error.file(lt::file_index_t{0});
  return error;
}

// To libtorrent: nothing happened. It blames no peer and does not stop the torrent.
lt::storage_error cancelled(lt::operation_t operation) {
  lt::storage_error error;
  error.ec = boost::asio::error::operation_aborted;
  error.operation = operation;
  return error;
}

lt::storage_error read_all(int fd, char* to, int size, std::uint64_t offset) {
  while (size > 0) {
    const ssize_t n = ::pread(fd, to, static_cast<std::size_t>(size), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(errno, lt::operation_t::file_read);
    if (n == 0) return failure(EIO, lt::operation_t::file_read);  // a short file is damage
    to += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<int>(n);
  }
  return {};
}

// Reading there waits for nothing but memory that was swapped out.
bool is_in_memory(int fd) {
  struct statfs about {};
  return ::fstatfs(fd, &about) == 0 && about.f_type == TMPFS_MAGIC;
}

std::uint32_t number(lt::piece_index_t piece) { return static_cast<std::uint32_t>(static_cast<int>(piece)); }
std::uint32_t number(lt::storage_index_t storage) { return static_cast<std::uint32_t>(storage); }

}  // namespace

// A whole piece: hashed, judged, written by workers, then settled on the network thread.
struct DiskIo::Whole {
  std::shared_ptr<PieceBuffer> buffer;
  HashDone done;
  PieceHash hash{};
  bool hashed = false;
};

DiskIo::DiskIo(lt::io_context& io, std::shared_ptr<BlobTable> table, std::shared_ptr<PeerGate> gate,
               DiskOptions options)
    : options_(options),
      table_(std::move(table)),
      gate_(std::move(gate)),
      queue_(std::make_shared<NetworkQueue>(io)),
      buffers_(options_.memory),
      workers_(options_.workers) {}

DiskIo::~DiskIo() { workers_.stop(); }

std::shared_ptr<SharedBlob> DiskIo::blob_of(lt::storage_index_t storage) const { return storages_[number(storage)]; }

lt::storage_holder DiskIo::new_torrent(lt::storage_params const& params, std::shared_ptr<void> const&) {
  std::shared_ptr<SharedBlob> blob = table_->find(params.info_hash);
  lt::storage_index_t slot{static_cast<std::uint32_t>(storages_.size())};
  if (free_slots_.empty()) {
    free_slots_.reserve(storages_.size() + 1);  // remove_torrent runs in a destructor: it must not throw
    storages_.push_back(std::move(blob));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    storages_[number(slot)] = std::move(blob);
  }
  return lt::storage_holder(slot, *this);
}

void DiskIo::remove_torrent(lt::storage_index_t storage) {
  for (const auto& unfinished : buffers_.take_all(number(storage))) drop(unfinished);
  storages_[number(storage)].reset();
  free_slots_.push_back(storage);
  if (free_slots_.size() == storages_.size()) buffers_.forget_spare();
}

void DiskIo::async_read(lt::storage_index_t storage, lt::peer_request const& r,
                        std::function<void(lt::disk_buffer_holder, lt::storage_error const&)> handler,
                        lt::disk_job_flags_t) {
  queue_->begin();
  std::shared_ptr<SharedBlob> blob = blob_of(storage);
  lt::disk_buffer_holder buffer = allocate(r.length);
  if (!blob || !buffer) {
    queue_->push([handler = std::move(handler), error = failure(blob ? ENOMEM : ENOENT, lt::operation_t::file_read)] {
      handler(lt::disk_buffer_holder(), error);
    });
    return;
  }
  gate_->probe().served(static_cast<std::uint64_t>(r.length));
  const int fd = blob->file().file()->fd();
  const std::uint64_t offset = blob->naming().offset(number(r.piece)) + static_cast<std::uint64_t>(r.start);
  if (nowait_works_ || in_memory_) {
    iovec part{buffer.data(), static_cast<std::size_t>(r.length)};
    const ssize_t n = ::preadv2(fd, &part, 1, static_cast<off_t>(offset), in_memory_ ? 0 : RWF_NOWAIT);
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
      nowait_works_ = false;
      in_memory_ = is_in_memory(fd);
    }
    if (n == r.length) {
      queue_->push([handler = std::move(handler), buffer = std::move(buffer)]() mutable {
        handler(std::move(buffer), lt::storage_error());
      });
      return;
    }
  }
  workers_.submit(key_of(number(storage), number(r.piece)),
                  [queue = queue_, blob = std::move(blob), fd, handler = std::move(handler), buffer = std::move(buffer),
                   offset, length = r.length]() mutable {
                    const lt::storage_error error = read_all(fd, buffer.data(), length, offset);
                    queue->push([handler = std::move(handler), buffer = std::move(buffer), error]() mutable {
                      handler(error.ec ? lt::disk_buffer_holder() : std::move(buffer), error);
                    });
                  });
}

bool DiskIo::async_write(lt::storage_index_t storage, lt::peer_request const& r, char const* buf,
                         std::shared_ptr<lt::disk_observer> observer,
                         std::function<void(lt::storage_error const&)> handler, lt::disk_job_flags_t) {
  queue_->begin();
  const PeerRef author = gate_->bringer(static_cast<int>(r.piece), r.start);
  const std::shared_ptr<SharedBlob> blob = blob_of(storage);
  const std::uint32_t piece = number(r.piece);
  // Good already: have() told libtorrent of it with a piece of zeroes, or a peer's block came late.
  if (blob && blob->good(piece)) {
    queue_->push([handler = std::move(handler)] { handler(lt::storage_error()); });
    return false;
  }
  if (!blob || aborted_) {
    queue_->push([handler = std::move(handler)] { handler(cancelled(lt::operation_t::file_write)); });
    return false;
  }
  buffers_.add(blob, number(storage), r, buf, author, std::move(handler));
  while (const auto overdue = buffers_.take_overdue()) drop(overdue);
  gate_->probe().unfinished(buffers_.bytes());
  if (!buffers_.full(number(storage)) || !observer) return false;
  observers_.push_back({observer, number(storage)});
  return true;
}

void DiskIo::async_hash(lt::storage_index_t storage, lt::piece_index_t piece, lt::span<lt::sha256_hash>,
                        lt::disk_job_flags_t, HashDone done) {
  queue_->begin();
  auto whole = std::make_shared<Whole>();
  whole->done = std::move(done);
  whole->buffer = buffers_.take_whole(number(storage), number(piece));
  const std::shared_ptr<SharedBlob> blob = blob_of(storage);
  if (!whole->buffer) {
    // Some of its blocks were written by have(), and so all are good.
    const bool good = blob && blob->good(number(piece));
    if (const auto rest = buffers_.take(number(storage), number(piece))) {
      for (auto& write : rest->writes)
        queue_->push([write = std::move(write), good] {
          write(good ? lt::storage_error() : cancelled(lt::operation_t::file_write));
        });
    }
    whole->buffer = std::make_shared<PieceBuffer>();
    whole->buffer->blob = blob;
    whole->buffer->piece = number(piece);
    return settle(whole, good ? Fate::good : Fate::dropped);
  }
  workers_.submit(key_of(number(storage), number(piece)), [this, whole] { judge(whole); });
}

void DiskIo::judge(const std::shared_ptr<Whole>& whole) {
  const PieceBuffer& buffer = *whole->buffer;
  SharedBlob& blob = *buffer.blob;
  if (!whole->hashed) whole->hash = hash_of(buffer.bytes());
  whole->hashed = true;
  SharedBlob::Again again = [this, whole](bool give_up) {
    if (give_up) return settle(whole, Fate::dropped);
    workers_.submit(key_of(whole->buffer->storage, whole->buffer->piece), [this, whole] { judge(whole); });
  };
  // Bytes that were dropped as they came, because upstream was to bring them: good or nothing.
  const auto next = blob.next(buffer.piece, whole->hash, base::SystemClock().steady_now() + options_.map_wait, again);
  switch (next) {
    case SharedBlob::Next::wait: return;
    case SharedBlob::Next::good: return settle(whole, Fate::good);
    case SharedBlob::Next::drop: return settle(whole, Fate::dropped);
    case SharedBlob::Next::mismatch:
      if (!buffer.bytes().empty()) {
        gate_->probe().piece_failed();
        punish(whole, blob.blame(buffer.piece, buffer.bytes(), whole->hash, buffer.authors));
      }
      return settle(whole, Fate::dropped);
    case SharedBlob::Next::write: break;
  }
  if (const auto put = blob.file().write(blob.naming().offset(buffer.piece), buffer.bytes()); !put) {
    blob.write_failed(buffer.piece, put.error());
    return settle(whole, Fate::dropped);
  }
  gate_->probe().received(buffer.bytes().size());
  punish(whole, blob.written(buffer.piece, buffer.bytes()));
  settle(whole, Fate::good);
}

void DiskIo::punish(const std::shared_ptr<Whole>&, const Judgement& judgement) {
  if (judgement.guilty.empty() && judgement.suspects.empty() && judgement.pardoned.empty()) return;
  PeerTable& peers = gate_->peers();
  for (const PeerRef peer : judgement.guilty) gate_->ban(peer, BanCause::bad_piece);
  for (const PeerRef peer : judgement.suspects) peers.suspect(peer);
  for (const PeerRef peer : judgement.pardoned) peers.pardon(peer);
  queue_->begin();
  queue_->push([gate = gate_] { gate->enforce(); });
}

void DiskIo::settle(const std::shared_ptr<Whole>& whole, Fate fate) {
  const auto answers = static_cast<std::int64_t>(whole->buffer->writes.size()) + 1;
  queue_->push(
      [this, whole, fate] {
        PieceBuffer& buffer = *whole->buffer;
        const lt::piece_index_t piece(static_cast<int>(buffer.piece));
        if (!buffer.writes.empty()) buffers_.release(buffer);
        if (fate == Fate::good) {
          for (auto& write : buffer.writes) write(lt::storage_error());
          whole->done(piece, lt::sha1_hash(buffer.blob->naming().placeholder(buffer.piece).data()),
                      lt::storage_error());
        } else {
          // In this order: the hash's answer finds the piece whole and lets it be; then its blocks become open again.
          whole->done(piece, lt::sha1_hash(), cancelled(lt::operation_t::file_read));
          for (auto& write : buffer.writes) write(cancelled(lt::operation_t::file_write));
          if (buffer.blob) buffer.blob->events().piece_restored(buffer.piece);
        }
        buffer.writes.clear();
        wake_observers();
      },
      answers);
}

void DiskIo::drop(const std::shared_ptr<PieceBuffer>& unfinished) {
  queue_->push(
      [unfinished] {
        for (auto& write : unfinished->writes) write(cancelled(lt::operation_t::file_write));
        unfinished->blob->events().piece_restored(unfinished->piece);
      },
      static_cast<std::int64_t>(unfinished->writes.size()));
}

void DiskIo::wake_observers() {
  gate_->probe().unfinished(buffers_.bytes());
  const auto waits = [this](const Observer& observer) { return !buffers_.has_room(observer.storage); };
  const auto first = std::stable_partition(observers_.begin(), observers_.end(), waits);
  const std::vector<Observer> wake(std::make_move_iterator(first), std::make_move_iterator(observers_.end()));
  observers_.erase(first, observers_.end());
  for (const Observer& observer : wake)
    if (const auto peer = observer.peer.lock()) peer->on_disk();
}

void DiskIo::async_stop_torrent(lt::storage_index_t storage, std::function<void()> handler) {
  for (const auto& unfinished : buffers_.take_all(number(storage))) drop(unfinished);
  const std::shared_ptr<SharedBlob> blob = blob_of(storage);
  if (blob) blob->give_up_waiting();
  queue_->begin();
  // A job that is still queued may begin to wait after the line above: again, behind it.
  workers_.fence([queue = queue_, blob, handler = std::move(handler)]() mutable {
    if (blob) blob->give_up_waiting();
    queue->push([handler = std::move(handler)] {
      if (handler) handler();
    });
  });
}

void DiskIo::async_clear_piece(lt::storage_index_t storage, lt::piece_index_t piece,
                               std::function<void(lt::piece_index_t)> handler) {
  if (const auto unfinished = buffers_.take(number(storage), number(piece))) drop(unfinished);
  queue_->begin();
  workers_.submit(key_of(number(storage), number(piece)), [queue = queue_, handler = std::move(handler), piece] {
    queue->push([handler, piece] { handler(piece); });
  });
}

void DiskIo::abort(bool wait) {
  aborted_ = true;
  for (std::uint32_t i = 0; i < storages_.size(); ++i)
    for (const auto& unfinished : buffers_.take_all(i)) drop(unfinished);
  queue_->begin();
  workers_.fence([queue = queue_, blobs = storages_] {
    for (const auto& blob : blobs)
      if (blob) blob->close();
    queue->push([] {});
  });
  queue_->close();
  if (wait) workers_.stop();
}

void DiskIo::async_release_files(lt::storage_index_t, std::function<void()> handler) {
  if (!handler) return;
  queue_->begin();
  workers_.fence([queue = queue_, handler = std::move(handler)]() mutable { queue->push(std::move(handler)); });
}

void DiskIo::async_check_files(lt::storage_index_t storage, lt::add_torrent_params const*,
                               lt::aux::vector<std::string, lt::file_index_t>,
                               std::function<void(lt::status_t, lt::storage_error const&)> handler) {
  // The store knows what is there (have_pieces or seed_mode in the parameters): nothing to look at.
  queue_->begin();
  queue_->push([handler = std::move(handler), known = blob_of(storage) != nullptr] {
    handler(known ? lt::status_t::no_error : lt::status_t::fatal_disk_error,
            known ? lt::storage_error() : failure(ENOENT, lt::operation_t::file_open));
  });
}

// What follows does not happen to v1 torrents over files that the store owns; answered, so that nothing hangs.

void DiskIo::async_hash2(lt::storage_index_t, lt::piece_index_t piece, int, lt::disk_job_flags_t,
                         std::function<void(lt::piece_index_t, lt::sha256_hash const&, lt::storage_error const&)> h) {
  queue_->begin();
  queue_->push([h = std::move(h), piece] { h(piece, {}, failure(ENOTSUP, lt::operation_t::file_read)); });
}

void DiskIo::async_move_storage(lt::storage_index_t, std::string path, lt::move_flags_t,
                                std::function<void(lt::status_t, std::string const&, lt::storage_error const&)> h) {
  queue_->begin();
  queue_->push([h = std::move(h), path = std::move(path)] {
    h(lt::status_t::fatal_disk_error, path, failure(ENOTSUP, lt::operation_t::file_rename));
  });
}

void DiskIo::async_rename_file(
    lt::storage_index_t, lt::file_index_t index, std::string name,
    std::function<void(std::string const&, lt::file_index_t, lt::storage_error const&)> handler) {
  queue_->begin();
  queue_->push([handler = std::move(handler), index, name = std::move(name)] {
    handler(name, index, failure(ENOTSUP, lt::operation_t::file_rename));
  });
}

void DiskIo::async_delete_files(lt::storage_index_t, lt::remove_flags_t,
                                std::function<void(lt::storage_error const&)> handler) {
  queue_->begin();
  queue_->push([handler = std::move(handler)] { handler(failure(ENOTSUP, lt::operation_t::file_remove)); });
}

void DiskIo::async_set_file_priority(
    lt::storage_index_t, lt::aux::vector<lt::download_priority_t, lt::file_index_t> prio,
    std::function<void(lt::storage_error const&, lt::aux::vector<lt::download_priority_t, lt::file_index_t>)> h) {
  queue_->begin();
  queue_->push([h = std::move(h), prio = std::move(prio)]() mutable { h(lt::storage_error(), std::move(prio)); });
}

}  // namespace shoal::p2p
