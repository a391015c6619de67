#include "author_words.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "big_endian.h"
#include "support/idle_blob.h"

namespace shoal::p2p {
namespace {

constexpr std::uint32_t kPiece = 16 * 1024, kPieces = 20;
constexpr int kTheirMessage = 61;
constexpr base::SteadyTime kStart{std::chrono::hours(1)};
const HeldBack::Is kNone = [](std::uint32_t) { return false; };

class AuthorWordsTest : public testing::Test {
 protected:
  void take(std::string_view message) {  // one that asks to name pieces again
    ASSERT_GE(message.size(), 6u);
    EXPECT_EQ(get32(message), message.size() - 4);
    EXPECT_EQ(message[5], kTheirMessage);
    for (message.remove_prefix(6); !message.empty(); message.remove_prefix(4)) named_.push_back(get32(message));
  }
  std::vector<std::uint32_t> named_;
  const std::shared_ptr<SharedBlob> blob_ = std::make_shared<SharedBlob>(
      *Naming::make(base::HmacKey("secret"), base::digest_of("x"), std::uint64_t{kPieces} * kPiece, kPiece),
      std::make_shared<test::NoFile>(), std::make_shared<test::NoEvents>(), ShareState{});
  AuthorWords words_{blob_, [this](const std::string& message) { take(message); }};
};

TEST_F(AuthorWordsTest, AllThatAPeerSaysIsHeardIfItIsNoAuthorOrCannotNamePiecesAgain) {
  EXPECT_FALSE(words_.has(2, kStart));
  words_.is("a");
  EXPECT_FALSE(words_.has(2, kStart));
  blob_->fresh().follow("a", {1, 4});
  EXPECT_FALSE(words_.has(2, kStart));
  words_.can_name(kTheirMessage);
  EXPECT_TRUE(words_.has(2, kStart));
  EXPECT_FALSE(words_.has(5, kStart));
}

TEST_F(AuthorWordsTest, OfAnAuthorThatSpreadsNoMoreAllIsHeardAndWhatItSaidBefore) {
  words_.is("a");
  words_.can_name(kTheirMessage);
  blob_->fresh().follow("a", {1, 4});
  for (std::uint32_t piece = 1; piece < 10; ++piece) EXPECT_EQ(words_.has(piece, kStart), piece % 4 != 1) << piece;
  blob_->fresh().forget("a");
  EXPECT_FALSE(words_.has(10, kStart));
  EXPECT_TRUE(named_.empty());
  words_.look_for_orphans(kNone, kStart);
  EXPECT_FALSE(named_.empty());
  for (std::size_t i = 0; i < named_.size(); ++i) {
    blob_->have(named_[i]);
    words_.arrived(named_[i], kNone, kStart);
  }
  std::sort(named_.begin(), named_.end());
  EXPECT_EQ(named_, (std::vector<std::uint32_t>{2, 3, 4, 6, 7, 8}));
}

}  // namespace
}  // namespace shoal::p2p
