// ScriptedSource: a ByteSource that gives what the test pushed, in order, and pends in between. One thread.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

#include "shoal/base/byte_source.h"
#include "shoal/base/loop.h"

namespace shoal::test {

// What the test keeps; the source itself belongs to the answer.
struct SourceScript {
  std::deque<base::Pulled> pieces;  // empty: pending
  base::UniqueFunction<void()> ready;
  bool dropped = false;
  int pulls = 0;

  void text(std::string bytes) {
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    pieces.emplace_back(base::MemorySlice{owner, *owner});
  }
  void end() { pieces.emplace_back(base::SourceEnd{}); }
  void fail() { pieces.emplace_back(base::Error(base::ErrorKind::gone, "upstream went away")); }
  // Wakes the reader from inside this call, as a source that calls from its own code does.
  void wake() {
    if (auto call = std::move(ready)) call();
  }
};

class ScriptedSource final : public base::ByteSource {
 public:
  explicit ScriptedSource(std::shared_ptr<SourceScript> script) : script_(std::move(script)) {}
  ~ScriptedSource() override { script_->dropped = true; }
  base::Pulled pull(std::uint64_t max) override {
    ++script_->pulls;
    if (script_->pieces.empty()) return base::SourcePending{};
    auto piece = std::move(script_->pieces.front());
    script_->pieces.pop_front();
    if (auto* memory = std::get_if<base::MemorySlice>(&piece); memory != nullptr && memory->bytes.size() > max) {
      auto rest = *memory;
      rest.bytes.remove_prefix(max);
      memory->bytes = memory->bytes.substr(0, max);
      script_->pieces.emplace_front(std::move(rest));
    }
    return piece;
  }
  void on_ready(base::UniqueFunction<void()> ready) override { script_->ready = std::move(ready); }

 private:
  std::shared_ptr<SourceScript> script_;
};

}  // namespace shoal::test
