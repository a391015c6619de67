// LocalFill: the loop side of a fill. Keeps the callbacks, so that they run and die on the owner's loop; the disk side
// only holds weak references to them.
#pragma once

#include <memory>
#include <unordered_set>

#include "fill_disk.h"
#include "shoal/store/store.h"

namespace shoal::store {

class LocalFill final : public FillFile {
 public:
  LocalFill(std::shared_ptr<Core> core, std::shared_ptr<FillSlot> slot, base::Loop& loop);
  ~LocalFill() override;

  void open(std::optional<std::uint64_t> size, Done<std::uint64_t> done) override;
  void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) override;
  [[nodiscard]] std::shared_ptr<PieceWriter> pieces() override;
  void absorb(std::uint64_t end, Done<std::uint64_t> done) override;
  void verify(Done<bool> done) override;
  void publish(std::string repository, Done<OpenBlob> done) override;
  void restart(std::string reason, Done<void> done) override;
  void discard() override;
  [[nodiscard]] std::shared_ptr<const base::File> file() const override {
    return pieces_ == nullptr ? nullptr : pieces_->file();
  }

 private:
  template <class T>
  FillDisk::Answer<T> on_loop(Done<T> done);
  void take_pieces(const base::Result<FillDisk::Opened>& opened);

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<FillSlot> slot_;  // goes before core_
  const std::shared_ptr<FillDisk> disk_;  // shared with the work on the strand
  base::Loop& loop_;
  std::shared_ptr<LocalPieces> pieces_;  // and the file
  bool discard_ = false;
  bool lent_ = false;                                    // pieces may be ahead in the file
  std::unordered_set<std::shared_ptr<void>> callbacks_;  // Done<T>s that have not run
};

}  // namespace shoal::store
