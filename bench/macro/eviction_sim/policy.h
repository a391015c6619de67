// What is compared: who leaves a cache when room is needed. The simulator counts the bytes; a policy knows the order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trace.h"

namespace shoal::sim {

// Where a request stands in the trace.
struct Moment {
  double at = 0;
  std::size_t next = 0;  // the request that asks for the same blob again; past the end: none does. For Belady only
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual void hit(std::uint32_t blob, Moment now) = 0;
  virtual void insert(std::uint32_t blob, Moment now) = 0;
  // Some that leave, at least one; the simulator asks again while `need` bytes are not freed.
  virtual std::vector<std::uint32_t> evict(std::uint64_t need, Moment now) = 0;
};

[[nodiscard]] const std::vector<std::string>& policy_names();  // "shoal" first, "belady" last
[[nodiscard]] std::unique_ptr<Policy> make_policy(const std::string& name, const Trace& trace, std::uint64_t capacity,
                                                  std::uint64_t seed);
[[nodiscard]] std::unique_ptr<Policy> make_shipped(const Trace& trace, std::uint64_t seed);

}  // namespace shoal::sim
