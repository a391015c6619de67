#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>

#include "command.h"

namespace {

// Nothing can be done without memory, and nothing acknowledged is lost by a sudden end: it is said, without any, and
// who supervises starts anew.
[[noreturn]] void out_of_memory() {
  constexpr std::string_view kSaid = "shoal: out of memory: the process ends here\n";
  (void)!::write(STDERR_FILENO, kSaid.data(), kSaid.size());
  std::abort();
}

// CLI11 would say only that a subcommand is required.
bool has_command(CLI::App& app, std::string_view name) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  return std::any_of(commands.begin(), commands.end(), [name](const CLI::App* it) { return it->get_name() == name; });
}

}  // namespace

int main(int argc, char** argv) {
  using namespace shoal::cli;
  std::set_new_handler(out_of_memory);
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
  add_pull(app, run);
  add_bench(app, run);
  add_scrub(app, run);
  add_hash_password(app, run);
  add_client_config(app, run);
  add_version(app, run);
  if (argc > 1 && argv[1][0] != '-' && !has_command(app, argv[1])) {
    std::fprintf(stderr, "shoal: there is no command '%s'; shoal --help lists them\n", argv[1]);
    return kWrongUse;
  }
  try {
    app.parse(argc, argv);
    return run();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFine : kWrongUse;
  } catch (const std::exception& error) {  // a bug
    std::fprintf(stderr, "shoal: %s\n", error.what());
    return kFailed;
  }
}
