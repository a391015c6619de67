// Gate between the disk executor and the store's end: work that is still queued when the store closes must not run.
#pragma once

#include <condition_variable>
#include <mutex>

namespace shoal::store {

// Lets disk work run only while the store is open: close() waits for what runs now, later work finds it shut.
class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(gate), open_(gate.enter()) {}
    ~Pass() {
      if (open_) gate_.leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    explicit operator bool() const { return open_; }

   private:
    Gate& gate_;
    bool open_;
  };
  void close();

 private:
  bool enter();
  void leave();
  std::mutex mutex_;
  std::condition_variable idle_;
  unsigned inside_ = 0;
  bool closed_ = false;
};

}  // namespace shoal::store
