#include "explain.h"

#include <gtest/gtest.h>

#include "body_sources.h"
#include "exchange.h"

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

TEST(Warnings, PassOnInTheFormAndSizeOfTheSpecification) {
  const std::string good = "299 - \"this image is old\"";
  EXPECT_EQ(passable_warnings({good, "110 - \"stale\"", "299 registry.test \"x\"", "299 - \"x", "299 - \"", "", good}),
            (std::vector<std::string>{good, good}));
  EXPECT_TRUE(passable_warnings({"299 - \"tab\there\""}).empty());
  std::vector<std::string> many(100, "299 - \"" + std::string(992, 'x') + "\"");
  std::size_t bytes = 0;
  for (const auto& each : passable_warnings(many)) bytes += each.size();
  EXPECT_EQ(bytes, 3000U) << "with ours still below 4096";
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

TEST(EndText, NamesWhoCutATransfer) {
  const auto end = [](http::EndCause cause, std::optional<base::Error> error = {}) {
    http::ExchangeEnd made;
    made.cause = cause;
    made.error = std::move(error);
    return made;
  };
  EXPECT_EQ(end_text(end(http::EndCause::complete), false), "ok");
  EXPECT_EQ(end_text(end(http::EndCause::client), false), "client");
  EXPECT_EQ(end_text(end(http::EndCause::timeout), false), "timeout");
  EXPECT_EQ(end_text(end(http::EndCause::shutdown), false), "shutdown");
  const auto gone = base::Error(base::ErrorKind::gone, "reset");
  EXPECT_EQ(end_text(end(http::EndCause::source, gone), false), "upstream");
  EXPECT_EQ(end_text(end(http::EndCause::source, gone), true), "store");
  EXPECT_EQ(end_text(end(http::EndCause::file, gone), false), "store");
  EXPECT_EQ(end_text(end(http::EndCause::source, base::Error(base::ErrorKind::full, "too slow")), false), "timeout");
}

}  // namespace
}  // namespace shoal::serve
