// RecordingEvents: an EventSink that wants everything and keeps it. Any thread.
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "shoal/obs/event.h"

namespace shoal::test {

class RecordingEvents final : public obs::EventSink {
 public:
  [[nodiscard]] bool wants(obs::EventKind, obs::EventObject) const override { return true; }
  [[nodiscard]] bool wants_any() const override { return true; }
  void publish(obs::Event event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  // What came since the last call.
  [[nodiscard]] std::vector<obs::Event> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }
  // "push manifest team/app:1", in the order they came, since the last call.
  [[nodiscard]] std::vector<std::string> take_texts() {
    std::vector<std::string> texts;
    for (const auto& event : take()) {
      auto text =
          std::string(to_string(event.kind)) + " " + std::string(to_string(event.object)) + " " + event.repository;
      if (!event.tag.empty()) text += ":" + event.tag;
      if (!event.reason.empty()) text += " (" + event.reason + ")";
      texts.push_back(std::move(text));
    }
    return texts;
  }

 private:
  std::mutex mutex_;
  std::vector<obs::Event> events_;
};

}  // namespace shoal::test
