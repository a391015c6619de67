// BlockSignals: while it lives, this thread (and threads it starts, for their whole life) takes no signals: they are
// the main thread's business. SIGPIPE is among them: sendfile() has no MSG_NOSIGNAL. Faults stay deliverable.
#pragma once

#include <signal.h>

namespace shoal::net {

class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace shoal::net
