#include "shoal/net/give_way.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace shoal::net {

void give_way(const char* name) {
  constexpr int kNice = 10;
  constexpr int kIoWhoProcess = 1, kIoBestEffort = 2 << 13, kIoLowest = 7;  // linux/ioprio.h
  (void)::pthread_setname_np(::pthread_self(), name);
  (void)::setpriority(PRIO_PROCESS, 0, kNice);  // of a thread, on Linux
  (void)::syscall(SYS_ioprio_set, kIoWhoProcess, 0, kIoBestEffort | kIoLowest);
}

}  // namespace shoal::net
