// What each request costs before anybody looks at what it asks for: parsing its head, its Range; and the answer's head.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "request_parser.h"
#include "response_head.h"
#include "shoal/base/format.h"
#include "shoal/http/range.h"

namespace shoal::http {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

// As containerd asks for a layer.
const std::string kRequest = fmt::format(
    "GET /v2/library/nginx/blobs/{}?ns=docker.io HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n"
    "User-Agent: containerd/1.6.20\r\nAccept: application/vnd.oci.image.layer.v1.tar+gzip, */*\r\n"
    "Accept-Encoding: gzip\r\n\r\n",
    kDigest);

void parse_request(benchmark::State& state) {
  const ServerOptions options;
  RequestParser parser(options, net::Address{"127.0.0.1", 40'000}, /*secure=*/false);
  for (auto _ : state) {
    parser.reset();
    const auto step = parser.feed(kRequest);
    if (step.progress != RequestParser::Progress::message) std::abort();
    benchmark::DoNotOptimize(parser.request());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kRequest.size()));
}
BENCHMARK(parse_request);

void plan_one_range(benchmark::State& state) {
  const std::string etag = "\"" + kDigest + "\"";
  for (auto _ : state) benchmark::DoNotOptimize(plan_range("bytes=16777216-33554431", "", etag, 1 << 30));
}
BENCHMARK(plan_one_range);

void write_answer_head(benchmark::State& state) {
  Headers headers;
  headers.add("Content-Type", "application/octet-stream");
  headers.add("Docker-Content-Digest", kDigest);
  headers.add("ETag", "\"" + kDigest + "\"");
  headers.add("Accept-Ranges", "bytes");
  headers.add("Cache-Status", "shoal; hit");
  HeadFacts facts;
  facts.framing = Framing::length;
  facts.length = 123'456'789;
  facts.date = "Sun, 06 Nov 1994 08:49:37 GMT";
  facts.request_id = "0123456789abcdef";
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_head(out, 200, headers, facts);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(write_answer_head);

}  // namespace
}  // namespace shoal::http
