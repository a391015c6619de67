// What an operator writes in one line: addresses, networks, sizes, durations, hours of a week, digests, images. What
// was taken means the same when it is written and read again, where it can be written.
// Sources: src/cli/image_name.cc
#include <cstdlib>
#include <string>

#include "../../src/bench/target.h"
#include "../../src/cli/image_name.h"
#include "shoal/base/digest.h"
#include "shoal/base/time_window.h"
#include "shoal/config/value.h"
#include "shoal/net/stream.h"
#include "shoal/p2p/site.h"
#include "shoal/registry/name.h"

namespace {

using namespace shoal;

void require(bool holds) {
  if (!holds) std::abort();
}

void addresses(std::string_view text) {
  if (const auto address = net::parse_address(text); address.ok()) {
    const auto again = net::parse_address(address->to_string());
    require(again.ok() && again->ip == address->ip && again->port == address->port);
  }
  if (const auto network = p2p::Network::parse(text); network.ok()) {
    require(network->prefix <= 128);
    (void)network->contains("10.0.0.1");
    (void)network->contains(text);
  }
}

void amounts(std::string_view text) {
  (void)config::parse_size(text);
  if (const auto duration = config::parse_duration(text)) require(duration->count() >= 0);
  if (const auto percent = config::parse_percent(text)) require(*percent <= 100);
  if (const auto window = base::TimeWindow::parse(text); window.ok()) {
    require(window->days != 0 && window->days < 128 && window->from < 24 * 60 && window->until <= 24 * 60);
    bool ever = false;
    for (unsigned minute = 0; minute < 7 * 24 * 60; ++minute) ever |= window->contains({minute / 1440, minute % 1440});
    require(ever);
  }
}

void names(std::string_view text) {
  if (const auto digest = base::Digest::parse(text); digest.ok()) require(digest->to_string() == text);
  if (const auto image = cli::parse_image_name(text)) {
    require(!image->repository.empty() && image->repository.size() <= text.size() + registry::kMaxRepositoryBytes);
    require(image->digest.empty() || base::Digest::parse(image->digest).ok());
  }
  if (const auto target = bench::parse_target(text, ""); target.ok()) {
    require(!target->repository.empty() && !target->reference.empty() && target->url.starts_with("http"));
    require(target->url.find_first_of("\r\n @") == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  addresses(text);
  amounts(text);
  names(text);
  return 0;
}
