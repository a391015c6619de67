#include "shared_blob.h"

#include <gtest/gtest.h>

namespace shoal::p2p {
namespace {

struct NoFile final : PieceFile {
  const std::shared_ptr<const base::File>& file() const override { return file_; }
  base::Result<void> write(std::uint64_t, std::string_view) override { return {}; }
  std::shared_ptr<const base::File> file_ = std::make_shared<base::File>(-1);
};

struct Heard final : BlobEvents {
  void piece_good(std::uint32_t piece) override { good.push_back(piece); }
  void piece_bad(std::uint32_t, Judgement judgement) override { bad.push_back(judgement); }
  void map_missing(std::uint32_t piece) override { missing.push_back(piece); }
  void piece_restored(std::uint32_t) override {}
  void trouble(base::Error error) override { troubles.push_back(error); }
  std::vector<std::uint32_t> good, missing;
  std::vector<Judgement> bad;
  std::vector<base::Error> troubles;
};

constexpr std::uint32_t kPiece = 16 * 1024;
const std::string kBytes(kPiece, 'a');
const PieceHash kHash = hash_of(kBytes);
const base::SteadyTime kStart{std::chrono::seconds(100)};
const base::SteadyTime kDeadline = kStart + std::chrono::seconds(10);

class SharedBlobTest : public testing::Test {
 protected:
  using Next = SharedBlob::Next;
  Next next(std::uint32_t piece, const PieceHash& hash = kHash) {
    SharedBlob::Again again = [this](bool give_up) { again_.push_back(give_up); };
    return blob_.next(piece, hash, kDeadline, again);
  }
  std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
  std::vector<bool> again_;
  SharedBlob blob_{*Naming::make(base::HmacKey("secret"), base::digest_of("x"), 4 * kPiece, kPiece),
                   std::make_shared<NoFile>(), heard_, ShareState{.complete = false, .good = {false, true}}};
};

TEST_F(SharedBlobTest, StartsWithWhatIsGood) {
  EXPECT_FALSE(blob_.good(0));
  EXPECT_TRUE(blob_.good(1));
  EXPECT_EQ(blob_.good_count(), 1u);
  EXPECT_EQ(next(1), Next::good);
  EXPECT_FALSE(blob_.claim(1));
}

TEST_F(SharedBlobTest, APieceWaitsForItsEntryAndIsJudgedByIt) {
  EXPECT_EQ(next(0), Next::wait);
  blob_.learn(2, kHash);
  EXPECT_TRUE(again_.empty());
  blob_.learn(0, kHash);
  EXPECT_EQ(again_, std::vector<bool>{false});
  EXPECT_EQ(next(0, hash_of("other")), Next::mismatch);
  EXPECT_EQ(next(0), Next::write);
  (void)blob_.written(0, kBytes);
  EXPECT_TRUE(blob_.good(0));
  EXPECT_EQ(heard_->good, std::vector<std::uint32_t>{0});
}

TEST_F(SharedBlobTest, TheFirstEntryStays) {
  blob_.learn(0, kHash);
  blob_.learn(0, hash_of("other"));
  EXPECT_EQ(blob_.entry(0), kHash);
  EXPECT_FALSE(blob_.entry(2).has_value());
}

TEST_F(SharedBlobTest, WaitingEndsAtTheDeadline) {
  EXPECT_EQ(next(0), Next::wait);
  blob_.expire(kDeadline - std::chrono::milliseconds(1));
  EXPECT_TRUE(again_.empty());
  blob_.expire(kDeadline);
  EXPECT_EQ(again_, std::vector<bool>{true});
  EXPECT_EQ(heard_->missing, std::vector<std::uint32_t>{0});
}

TEST_F(SharedBlobTest, WhatUpstreamBringsWaitsForUpstreamHoweverLong) {
  blob_.learn(0, kHash);
  EXPECT_TRUE(blob_.claim(0));
  EXPECT_TRUE(blob_.claim(0));
  EXPECT_FALSE(blob_.open(0));
  EXPECT_EQ(next(0), Next::wait);
  blob_.expire(kDeadline);
  EXPECT_TRUE(again_.empty());
  blob_.have(0);
  EXPECT_EQ(again_, std::vector<bool>{false});
  EXPECT_EQ(next(0), Next::good);
  EXPECT_TRUE(heard_->good.empty());  // the mirror knows already
}

TEST_F(SharedBlobTest, AClaimThatIsGivenUpMakesThePieceOpenAgain) {
  blob_.learn(0, kHash);
  EXPECT_TRUE(blob_.claim(0));
  EXPECT_EQ(next(0), Next::wait);
  blob_.unclaim(0);
  EXPECT_EQ(again_, std::vector<bool>{false});
  EXPECT_EQ(next(0), Next::write);
  EXPECT_FALSE(blob_.claim(0));  // being written
  blob_.unclaim(0);              // not ours to give up
  (void)blob_.written(0, kBytes);
  EXPECT_TRUE(blob_.good(0));
}

TEST_F(SharedBlobTest, WithoutRoomNothingIsWrittenUntilToldSo) {
  blob_.learn(0, kHash);
  blob_.learn(2, kHash);
  EXPECT_EQ(next(0), Next::write);
  EXPECT_EQ(next(2), Next::write);
  blob_.write_failed(0, base::Error(base::ErrorKind::full, "no room"));
  blob_.write_failed(2, base::Error(base::ErrorKind::full, "no room"));
  EXPECT_EQ(heard_->troubles.size(), 1u);
  EXPECT_EQ(next(0), Next::drop);
  blob_.resume_writing();
  EXPECT_EQ(next(0), Next::write);
}

TEST_F(SharedBlobTest, AWrongEntryIsForgotten) {
  blob_.learn(0, hash_of("a lie"));
  EXPECT_EQ(next(0), Next::mismatch);
  EXPECT_EQ(blob_.blame(0, kBytes, kHash, {1}).guilty, std::set<PeerRef>{1});
  EXPECT_TRUE(blob_.blame(0, kBytes, kHash, {2}).bad_map);
  EXPECT_FALSE(blob_.entry(0).has_value());
  EXPECT_EQ(next(0), Next::wait);
  blob_.learn(0, kHash);
  EXPECT_EQ(next(0), Next::write);
}

TEST_F(SharedBlobTest, ClosedItDropsWhatWaitsAndWhatComes) {
  EXPECT_EQ(next(0), Next::wait);
  blob_.close();
  EXPECT_EQ(again_, std::vector<bool>{true});
  EXPECT_EQ(next(2), Next::drop);
  EXPECT_EQ(next(1), Next::good);
}

}  // namespace
}  // namespace shoal::p2p
