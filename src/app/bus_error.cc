#include "bus_error.h"

#include <signal.h>
#include <unistd.h>

#include "shoal/base/format.h"

namespace shoal::app {
namespace {

std::string line;  // made before the handler is set: there is nothing but write(2) in it

void tell_and_die(int signal, siginfo_t* info, void*) {
  if (info->si_code > 0) (void)!::write(STDERR_FILENO, line.data(), line.size());  // else another process sent it
  (void)::raise(signal);  // held back until we return; by then it is the default action's
}

}  // namespace

void explain_bus_errors(std::string_view index) {
  line = base::format(
      "shoal: bus error: the disk does not give a page of {}, or of the program itself; no answer can be right without "
      "it, and the program ends. Look at the kernel's log, mend the disk, and start again.\n",
      index);
  struct sigaction action {};
  action.sa_sigaction = tell_and_die;
  action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  (void)::sigaction(SIGBUS, &action, nullptr);  // cannot fail with these arguments
}

}  // namespace shoal::app
