// PiecesWorld: a mirror world whose one blob is in the swarm of its site; the test brings the pieces.
#pragma once

#include <gtest/gtest.h>

#include "support/mirror_world.h"

namespace shoal::test {

inline constexpr std::uint64_t kPiece = 100'000;

struct PiecesWorld : MirrorWorld {
  explicit PiecesWorld(std::size_t size = 350'000) : MirrorWorld({}, Neighbours::some), bytes(some_bytes(size)) {
    near.pieces = true;
    link(kApp, digest, bytes.size(), /*proven=*/true);
  }
  AskedBlob begin() {
    auto asked = open(kApp, digest);
    advance(std::chrono::milliseconds(10));
    return asked;
  }
  void bring(unsigned piece) {
    near.swarmed.bring(piece * kPiece, std::string_view(bytes).substr(piece * kPiece, kPiece));
  }
  void tell(unsigned pieces) {
    near.swarmed.tell(std::min<std::uint64_t>(pieces * kPiece, bytes.size()));
    advance(std::chrono::milliseconds(1));
  }
  void start(char author = 'a') {
    near.swarmed.taker->on_swarm_start(FakeSite::node(author), /*proven=*/true);
    advance(std::chrono::milliseconds(1));
  }
  // Upstream is asked and has sent all before that piece, and a part of it, which a neighbour has.
  std::shared_ptr<FakeBlobCall> send_up_to(unsigned piece, std::size_t part_of_it) {
    near.swarmed.not_before = piece * kPiece;
    const auto call = upstream.blob_call(0);
    call->start(0, bytes.size());
    call->data(bytes.substr(0, piece * kPiece + part_of_it));
    advance(std::chrono::milliseconds(10));
    return call;
  }
  void expect_whole(const AskedBlob& asked) {
    ASSERT_TRUE(asked->ok());
    Body body(asked->value()->read_all());
    body.follow();
    advance(std::chrono::milliseconds(100));
    EXPECT_TRUE(body.ended && body.bytes == bytes) << (body.error ? body.error->message() : "");
  }
  std::string bytes;
  base::Digest digest = upstream.put_blob("library/app", bytes);
  FakeSite& near = site(digest);
};

}  // namespace shoal::test
