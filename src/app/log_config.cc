#include "translate.h"

namespace shoal::app {

LogSettings read_log(config::Section section) {
  using obs::Level;
  LogSettings log;
  log.level = section.choice<Level>(
      "level", log.level,
      {{"debug", Level::debug}, {"info", Level::info}, {"warn", Level::warn}, {"error", Level::error}});
  log.json = section.choice<bool>("format", false, {{"text", false}, {"json", true}});
  log.file = section.string("file", "");
  log.access.file = section.string("access", "-");
  log.access.json = section.choice<bool>("access_format", false, {{"text", false}, {"json", true}});
  return log;
}

}  // namespace shoal::app
