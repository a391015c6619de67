// One node of a swarm with libtorrent's own settings, disk back-end and choice of pieces: what bench/macro/herd.sh
// --stock compares with. Nothing of Shoal is in it. Discovery is off, as there is nobody to find: peers are named.
//
//   stock_swarm make FILE TORRENT              writes the torrent of a file
//   stock_swarm seed TORRENT DIR ADDRESS       prints "ready", shares DIR/<name> until it is killed
//   stock_swarm get  TORRENT DIR ADDRESS PEER...   prints "ready"; reads a line; gets it; prints "done"; shares on
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/torrent_info.hpp>
#include <string>
#include <vector>

namespace {

constexpr std::uint16_t kPort = 6881;

int make(const std::string& file, const std::string& torrent) {
  lt::file_storage files;
  lt::add_files(files, file);
  lt::create_torrent creation(files);
  lt::set_piece_hashes(creation, file.substr(0, file.rfind('/')));
  std::vector<char> bytes;
  lt::bencode(std::back_inserter(bytes), creation.generate());
  std::ofstream out(torrent, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return out.flush() ? 0 : 1;
}

lt::session_params params_at(const std::string& address) {
  using sp = lt::settings_pack;
  lt::session_params params;
  auto& s = params.settings;
  s.set_str(sp::listen_interfaces, address + ":" + std::to_string(kPort));
  for (const int off : {sp::enable_dht, sp::enable_lsd, sp::enable_upnp, sp::enable_natpmp}) s.set_bool(off, false);
  s.set_int(sp::alert_mask, static_cast<int>(static_cast<std::uint32_t>(lt::alert_category::status) |
                                             static_cast<std::uint32_t>(lt::alert_category::error)));
  return params;
}

int share(const std::vector<std::string>& words) {
  const bool seed = words[0] == "seed";
  lt::session session(params_at(words[3]));
  lt::add_torrent_params p;
  p.ti = std::make_shared<lt::torrent_info>(words[1]);
  p.save_path = words[2];
  p.flags &= ~(lt::torrent_flags::paused | lt::torrent_flags::auto_managed);
  if (seed) p.flags |= lt::torrent_flags::seed_mode;
  for (std::size_t i = 4; i < words.size(); ++i) p.peers.emplace_back(lt::make_address(words[i]), kPort);
  std::string line;
  if (seed) session.add_torrent(p);
  std::cout << "ready" << std::endl;
  if (!seed) {
    std::getline(std::cin, line);
    session.add_torrent(p);
  }
  for (;;) {
    session.wait_for_alert(std::chrono::seconds(1));
    std::vector<lt::alert*> alerts;
    session.pop_alerts(&alerts);
    for (const auto* alert : alerts) {
      if (lt::alert_cast<lt::torrent_finished_alert>(alert) != nullptr && !seed) std::cout << "done" << std::endl;
      if (lt::alert_cast<lt::torrent_error_alert>(alert) != nullptr) std::cout << alert->message() << std::endl;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "make") return make(words[1], words[2]);
  if (words.size() >= 4 && (words[0] == "seed" || words[0] == "get")) return share(words);
  std::cerr << "see the head of bench/macro/stock_swarm/main.cc\n";
  return 2;
}
