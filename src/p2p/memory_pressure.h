// MemoryPressure: is this machine, or the control group this process is in, short of memory? By the kernel's own
// measure (PSI, Documentation/accounting/psi.rst): how much of the last ten seconds some task waited for memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal::p2p {

// Percent, of the text of /proc/pressure/memory or a group's memory.pressure; nullopt: it is none.
[[nodiscard]] std::optional<double> some_avg10(std::string_view text);
// Reads a small file of the kernel's: for a pool's thread. nullopt: this kernel does not say.
[[nodiscard]] std::optional<double> memory_pressure();
// Of this process's control group (version 2); its text is that of /proc/self/cgroup. "": it is in the root group.
[[nodiscard]] std::string pressure_file_of(std::string_view cgroup);

// Pressed from `limit` percent on, until it is below half of that. Pure.
class PressureSwitch {
 public:
  explicit PressureSwitch(unsigned limit) : limit_(limit) {}  // 0: never pressed
  // True: it changed.
  bool measured(double percent) {
    const bool before = pressed_;
    pressed_ = limit_ > 0 && percent >= (before ? limit_ / 2.0 : limit_);
    return pressed_ != before;
  }
  [[nodiscard]] bool pressed() const { return pressed_; }

 private:
  const unsigned limit_;
  bool pressed_ = false;
};

}  // namespace shoal::p2p
