// Spinner: on a terminal, a line that counts the seconds of what takes longer than one; gone when the object goes.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace shoal::cli {

class Spinner {
 public:
  explicit Spinner(std::string what);  // "collecting garbage"; on standard error
  ~Spinner();
  Spinner(const Spinner&) = delete;
  Spinner& operator=(const Spinner&) = delete;

 private:
  void run();

  std::string what_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace shoal::cli
