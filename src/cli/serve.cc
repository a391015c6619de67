#include "shoal/app/serve.h"

#include <memory>

#include "command.h"

namespace shoal::cli {

void add_serve(CLI::App& app, Run& run) {
  struct Flags {
    ConfigFlags config;
    std::string port_file;
  };
  auto* command = app.add_subcommand("serve", "Runs the mirror until SIGTERM");
  command->footer(
      "Example:\n  shoal serve --config /etc/shoal/shoal.yml\n  shoal serve --set storage.path=/tmp/shoal\n\n"
      "SIGHUP reads the configuration again; SIGTERM drains and stops, a second one stops at once.");
  auto flags = std::make_shared<Flags>();  // shared: lives as long as CLI11's callback
  add_config_flags(*command, flags->config);
  command->add_option("--port-file", flags->port_file,
                      "Gets a line ip:port for each listener, once it is ready; the admin API's is the last");
  command->callback([flags, &run] {
    run = [flags] { return app::serve({settings_source(flags->config), flags->port_file, SHOAL_VERSION}); };
  });
}

}  // namespace shoal::cli
