// What every request pays before the mirror is asked: path, digest, name; and what a cold manifest pays once.
#include <benchmark/benchmark.h>

#include <string>

#include "shoal/base/digest.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/name.h"

namespace shoal {
namespace {

std::string digest_text(int n) { return base::digest_of(fmt::format("{}", n)).to_string(); }

void parse_digest(benchmark::State& state) {
  const std::string text = digest_text(1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(base::Digest::parse(text));
  }
}
BENCHMARK(parse_digest);

void print_digest(benchmark::State& state) {
  const base::Digest digest = base::digest_of("x");
  for (auto _ : state) {
    benchmark::DoNotOptimize(digest.to_string());
  }
}
BENCHMARK(print_digest);

void route_blob_path(benchmark::State& state) {
  const std::string raw = "/library/nginx/blobs/" + digest_text(1);
  for (auto _ : state) {
    const auto path = registry::decode_path(raw);
    benchmark::DoNotOptimize(registry::parse_api_path(*path));
  }
}
BENCHMARK(route_blob_path);

void route_manifest_by_tag(benchmark::State& state) {
  const std::string raw = "/docker.io/library/nginx/manifests/1.25-alpine";
  for (auto _ : state) {
    const auto path = registry::decode_path(raw);
    benchmark::DoNotOptimize(registry::parse_api_path(*path));
  }
}
BENCHMARK(route_manifest_by_tag);

void parse_manifest(benchmark::State& state) {
  std::string layers;
  for (int i = 0; i < state.range(0); ++i) {
    layers += fmt::format(R"({}{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":{}}})",
                          i == 0 ? "" : ",", digest_text(i), 1000 + i);
  }
  const std::string bytes = fmt::format(
      R"({{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",)"
      R"("digest":"{}","size":7}},"layers":[{}]}})",
      registry::kOciManifest, digest_text(-1), layers);
  for (auto _ : state) {
    benchmark::DoNotOptimize(registry::parse_manifest(bytes));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(parse_manifest)->Arg(5)->Arg(40);

void hash_bytes(benchmark::State& state) {
  const std::string bytes(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    base::Hasher hasher(base::HashAlgorithm::sha256);
    hasher.update(bytes);
    benchmark::DoNotOptimize(hasher.finish());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(hash_bytes)->Arg(4 << 10)->Arg(1 << 20);

}  // namespace
}  // namespace shoal
