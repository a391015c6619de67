// The index is read through a mapping, so a disk that fails there does not answer with an error: the kernel ends the
// process with SIGBUS. This says why first.
#pragma once

#include <string_view>

namespace shoal::app {

// From then on; for the whole process. `index`: where it is, as the line on standard error names it.
void explain_bus_errors(std::string_view index);

}  // namespace shoal::app
