// Priorities of threads.
#pragma once

namespace shoal::net {

// The calling thread has work that nobody waits for: from now on others go first, at the processor (nice 10) and at the
// disk. Also names the thread, in 15 characters at most. Does what it is allowed to; never fails.
void give_way(const char* name);

}  // namespace shoal::net
