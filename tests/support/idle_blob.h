// What a SharedBlob needs, and nothing comes of: for tests of what peers say about a blob.
#pragma once

#include <memory>
#include <string_view>

#include "../../src/p2p/shared_blob.h"

namespace shoal::test {

struct NoFile final : p2p::PieceFile {
  [[nodiscard]] const std::shared_ptr<const base::File>& file() const override { return file_; }
  base::Result<void> write(std::uint64_t, std::string_view) override { return {}; }
  std::shared_ptr<const base::File> file_ = std::make_shared<base::File>(-1);
};

struct NoEvents final : p2p::BlobEvents {
  void piece_good(std::uint32_t) override {}
  void piece_bad(std::uint32_t, p2p::Judgement) override {}
  void map_missing(std::uint32_t) override {}
  void piece_restored(std::uint32_t) override {}
  void trouble(base::Error) override {}
};

}  // namespace shoal::test
