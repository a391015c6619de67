#include <unistd.h>

#include "shoal/base/byte_source.h"

namespace shoal::base {

File::~File() {
  if (fd_ >= 0) (void)::close(fd_);  // read side: nothing to lose
}

}  // namespace shoal::base
