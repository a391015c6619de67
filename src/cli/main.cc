#include <cstdio>

#include "command.h"

int main(int argc, char** argv) {
  using namespace shoal::cli;
  CLI::App app("Shoal: a mirror and registry for container images.", "shoal");
  app.require_subcommand(1);
  app.set_version_flag("--version", "shoal " SHOAL_VERSION, "Print the version and exit");
  app.footer("Example:\n  shoal serve --config /etc/shoal/shoal.yml\n\nExit codes: 0 fine, 1 failed, 2 wrong use.");
  Run run;
  add_serve(app, run);
  add_check(app, run);
  add_status(app, run);
  add_list(app, run);
  add_show(app, run);
  add_rm(app, run);
  add_gc(app, run);
  add_pin(app, run);
  add_scrub(app, run);
  add_hash_password(app, run);
  add_client_config(app, run);
  add_version(app, run);
  try {
    app.parse(argc, argv);
    return run();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFine : kWrongUse;
  } catch (const std::exception& error) {  // out of memory, or a bug
    std::fprintf(stderr, "shoal: %s\n", error.what());
    return kFailed;
  }
}
