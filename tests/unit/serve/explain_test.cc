#include "explain.h"

#include <gtest/gtest.h>

#include "body_sources.h"

namespace shoal::serve {
namespace {

using Kind = mirror::Provenance::Kind;

TEST(CacheStatus, SaysWhereAnAnswerCameFrom) {
  const struct {
    Kind kind;
    bool stored;
    const char* detail;
    const char* expected;
  } cases[] = {
      {Kind::hit, false, "", "shoal; hit"},
      {Kind::revalidated, false, "", "shoal; fwd=stale; fwd-status=200; detail=revalidated"},
      {Kind::stale, false, "docker.io: refused", "shoal; hit; detail=\"stale: docker.io: refused\""},
      {Kind::miss, true, "", "shoal; fwd=miss; stored"},
      {Kind::miss, false, "not kept", "shoal; fwd=miss; detail=\"not kept\""},
      {Kind::collapsed, true, "", "shoal; fwd=miss; stored; collapsed"},
      {Kind::collapsed, false, "", "shoal; fwd=miss; collapsed"},
      {Kind::hit, false, "a\"b\\c\r\n\xc3", "shoal; hit; detail=\"a\\\"b\\\\c???\""},
  };
  for (const auto& c : cases) {
    mirror::Provenance provenance;
    provenance.kind = c.kind;
    provenance.stored = c.stored;
    provenance.detail = c.detail;
    EXPECT_EQ(cache_status(provenance), c.expected);
  }
}

TEST(RefusalTable, StatusAndCode) {
  using mirror::Refusal;
  const struct {
    Refusal::Kind kind;
    Subject subject;
    int status;
    const char* code;
  } cases[] = {
      {Refusal::Kind::not_found, Subject::blob, 404, "BLOB_UNKNOWN"},
      {Refusal::Kind::not_found, Subject::manifest, 404, "MANIFEST_UNKNOWN"},
      {Refusal::Kind::not_found, Subject::page, 404, "NAME_UNKNOWN"},
      {Refusal::Kind::rate_limited, Subject::blob, 429, "TOOMANYREQUESTS"},
      {Refusal::Kind::too_large, Subject::blob, 403, "DENIED"},
      {Refusal::Kind::unavailable, Subject::blob, 503, "UNAVAILABLE"},
      {Refusal::Kind::overloaded, Subject::manifest, 503, "UNAVAILABLE"},
  };
  for (const auto& c : cases) {
    const auto answer = answer_to({c.kind, "", {}}, c.subject);
    EXPECT_EQ(answer.status, c.status);
    EXPECT_EQ(answer.code, c.code);
  }
}

std::string read(base::ByteSource& source, std::uint64_t max) {
  std::string out;
  for (;;) {
    const auto piece = source.pull(max);
    const auto* memory = std::get_if<base::MemorySlice>(&piece);
    if (memory == nullptr) {
      EXPECT_TRUE(std::holds_alternative<base::SourceEnd>(piece));
      return out;
    }
    EXPECT_FALSE(memory->bytes.empty());
    EXPECT_LE(memory->bytes.size(), max);
    out += memory->bytes;
  }
}

TEST(BodySources, MemoryAndChainReadTheSameInPiecesOfAnySize) {
  for (std::uint64_t max = 1; max < 20; ++max) {
    auto owner = std::make_shared<const std::string>("0123456789");
    MemorySource memory(owner, std::string_view(*owner).substr(2, 5));
    EXPECT_EQ(read(memory, max), "23456");
    ChainSource chain;
    chain.add("abc");
    chain.add(std::string());
    chain.add(std::make_unique<MemorySource>(owner, *owner));
    chain.add("z");
    EXPECT_EQ(read(chain, max), "abc0123456789z");
  }
}

}  // namespace
}  // namespace shoal::serve
