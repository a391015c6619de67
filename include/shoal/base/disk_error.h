// Which failed reads are the disk's doing.
#pragma once

#include <cerrno>

namespace shoal::base {

// An errno that only a disk answers with; others (no memory, no descriptor) say nothing about the file.
[[nodiscard]] inline bool is_of_the_disk(int error) {
  return error == EIO || error == EBADMSG || error == EUCLEAN || error == ENODATA || error == ESTALE || error == ENXIO;
}

}  // namespace shoal::base
