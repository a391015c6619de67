// NameStream: a list of names as a JSON body that is never whole in memory: a slice is read on the pool when the one
// before it has left, so a slow reader holds one. A slice that cannot be read fails the body, and the connection is
// cut. Each slice is a transaction of its own and goes on strictly behind the last name: what comes or goes meanwhile,
// behind it, is seen or not; nothing comes twice. One loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pool_gate.h"
#include "shoal/base/byte_source.h"
#include "shoal/base/loop.h"

namespace shoal::serve {

struct NameSlice {
  std::vector<std::string> names;
  std::string last;   // where the next one goes on; may be behind the names, when some are not shown
  bool more = false;  // there may be more behind it
};

class NameStream final : public base::ByteSource {
 public:
  using Read = std::function<base::Result<NameSlice>(const std::string& last)>;  // on the pool, while the gate is open
  struct Parts {
    base::Loop& loop;
    base::Executor& pool;
    std::shared_ptr<PoolGate> gate;
  };
  // `head` is what stands before the first name, `first` was read already.
  NameStream(Parts parts, Read read, std::string head, const NameSlice& first);
  // The slice's names as JSON behind what `text` has, and the end of it all when there are no more.
  static void append(std::string& text, const NameSlice& slice, bool first);
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override;
  void on_ready(base::UniqueFunction<void()> ready) override { ready_ = std::move(ready); }

 private:
  void read_on();
  void take(const NameSlice& slice, std::string text);

  const Parts parts_;
  const Read read_;
  std::shared_ptr<const std::string> piece_;
  std::string_view left_;  // of the piece
  std::string last_;
  bool any_ = false, ended_ = false, reading_ = false;
  std::optional<base::Error> error_;
  base::UniqueFunction<void()> ready_;
  base::Lifetime life_;
};

}  // namespace shoal::serve
