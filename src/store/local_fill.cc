#include "local_fill.h"

namespace shoal::store {

LocalFill::LocalFill(std::shared_ptr<Core> core, std::shared_ptr<FillSlot> slot, base::Loop& loop)
    : core_(std::move(core)), slot_(std::move(slot)), disk_(std::make_shared<FillDisk>(core_, slot_)), loop_(loop) {}

LocalFill::~LocalFill() {
  disk_->abandon();
  if (pieces_) pieces_->stop();
  if (discard_ || lent_) disk_->leave(discard_);
  core_->fills.release(*slot_);
}

template <class T>
FillDisk::Answer<T> LocalFill::on_loop(Done<T> done) {
  auto held = std::make_shared<Done<T>>(std::move(done));
  callbacks_.insert(held);
  return [this, loop = &loop_, weak = std::weak_ptr<Done<T>>(held)](base::Result<T> result) {
    loop->post([this, weak, result = std::move(result)]() mutable {
      const auto callback = weak.lock();
      if (callback == nullptr) return;  // this fill is gone
      callbacks_.erase(callback);
      if (*callback) (*callback)(std::move(result));
    });
  };
}

void LocalFill::take_pieces(const base::Result<FillDisk::Opened>& opened) {
  pieces_ = opened.ok() ? opened->pieces : nullptr;
}

void LocalFill::open(std::optional<std::uint64_t> size, Done<std::uint64_t> done) {
  auto answer =
      on_loop<FillDisk::Opened>([this, done = std::move(done)](base::Result<FillDisk::Opened> opened) mutable {
        take_pieces(opened);
        if (opened.ok()) {
          done(opened->length);
        } else {
          done(opened.error());
        }
      });
  disk_->run([size, answer = std::move(answer)](FillDisk& disk) mutable { disk.open(size, std::move(answer)); });
}

void LocalFill::append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) {
  disk_->run([bytes = std::move(bytes), answer = on_loop<std::uint64_t>(std::move(done))](FillDisk& disk) mutable {
    disk.append(*bytes, std::move(answer));
  });
}

std::shared_ptr<PieceWriter> LocalFill::pieces() {
  if (discard_ || pieces_ == nullptr || pieces_->stopped()) return nullptr;
  lent_ = true;
  return pieces_;
}

void LocalFill::absorb(std::uint64_t end, Done<std::uint64_t> done) {
  disk_->run([end, answer = on_loop<std::uint64_t>(std::move(done))](FillDisk& disk) mutable {
    disk.absorb(end, std::move(answer));
  });
}

void LocalFill::discard() {
  discard_ = true;
  if (pieces_) pieces_->stop();
  disk_->run([](FillDisk& disk) { disk.keep_no_more(); });
}

void LocalFill::verify(Done<bool> done) {
  disk_->run([answer = on_loop<bool>(std::move(done))](FillDisk& disk) mutable { disk.verify(std::move(answer)); });
}

void LocalFill::publish(std::string repository, Done<OpenBlob> done) {
  disk_->run([repository = std::move(repository), answer = on_loop<OpenBlob>(std::move(done))](FillDisk& disk) mutable {
    disk.publish(repository, std::move(answer));
  });
}

void LocalFill::restart(std::string reason, Done<void> done) {
  auto answer =
      on_loop<FillDisk::Opened>([this, done = std::move(done)](base::Result<FillDisk::Opened> opened) mutable {
        take_pieces(opened);
        if (opened.ok()) {
          done({});
        } else {
          done(opened.error());
        }
      });
  disk_->run([reason = std::move(reason), answer = std::move(answer)](FillDisk& disk) mutable {
    disk.restart(reason, std::move(answer));
  });
}

}  // namespace shoal::store
