#include "translate.h"

namespace shoal::app {

using namespace std::chrono_literals;

mirror::MirrorOptions read_mirror(config::Section section) {
  mirror::MirrorOptions mirror;
  mirror.header_wait = section.duration("header_wait", mirror.header_wait, {0ms, 10min});
  mirror.answer_wait = section.duration("answer_wait", mirror.answer_wait, {100ms, 1h});
  mirror.spill_memory = section.size("spill_memory", mirror.spill_memory, {64 << 10, 1ULL << 40});
  mirror.laggard_patience = section.duration("laggard_patience", mirror.laggard_patience, {100ms, 1h});
  mirror.keep_filling = section.boolean("keep_filling", mirror.keep_filling);
  return mirror;
}

}  // namespace shoal::app
