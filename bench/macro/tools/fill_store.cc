// Puts blobs into the store of a node that is not running, with the store's own code: record and hosted link of each,
// and the file of the first so many, as a push leaves them, in a fraction of the time. With a number of REPOSITORIES
// they are mirrored instead, the n-th in REPOSITORY/<n modulo that>. Built by gc.py and scale.py against the libraries
// beside the program that is measured. Prints the digests, one a line.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "blob_identity.h"
#include "index_edit.h"
#include "layout.h"
#include "lmdb_index.h"

namespace {

using namespace shoal;

constexpr std::uint64_t kPerTransaction = 50'000;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "fill_store: %s\n", what.c_str());
  std::exit(1);
}

store::BlobRecord write_blob(const store::Layout& layout, const base::Digest& digest, const std::string& bytes,
                             base::WallTime now) {
  const auto path = layout.blob(digest);
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0440);
  if (fd < 0) {
    (void)::mkdir(layout.algorithm_dir(digest.algorithm()).c_str(), 0750);  // there, mostly
    (void)::mkdir(layout.blob_dir(digest).c_str(), 0750);
    fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0440);
  }
  struct stat st {};
  if (fd < 0 || ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
      ::fstat(fd, &st) != 0) {
    fail("cannot write " + path);
  }
  ::close(fd);
  store::BlobRecord record{.size = bytes.size(), .verified = now, .last_use = now, .uses = 1};
  store::set_identity(record, st);
  return record;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) fail("usage: fill_store STORE REPOSITORY COUNT FILES SIZE [REPOSITORIES]");
  const std::string directory = argv[1], repository = argv[2];
  const std::uint64_t repositories = argc == 7 ? std::strtoull(argv[6], nullptr, 10) : 0;
  const auto count = std::strtoull(argv[3], nullptr, 10), files = std::strtoull(argv[4], nullptr, 10);
  const auto size = std::strtoull(argv[5], nullptr, 10);
  const store::Layout layout(directory);
  auto index = store::LmdbIndex::open(directory + "/index", 4ULL << 30);
  if (!index.ok()) fail(index.error().message());
  for (std::uint64_t done = 0; done < count;) {
    auto txn = (*index)->write();
    const auto now = std::chrono::system_clock::now();
    store::IndexEdit edit(txn, now);
    for (std::uint64_t i = 0; i < kPerTransaction && done < count; ++i, ++done) {
      auto bytes = repository + " " + std::to_string(done);
      bytes.resize(size, '.');
      const auto digest = base::digest_of(bytes);
      const store::BlobRecord no_file{.size = size, .verified = now, .last_use = now, .uses = 1};
      edit.put_blob(digest, done < files ? write_blob(layout, digest, bytes, now) : no_file);
      if (repositories == 0) {
        edit.put_link(repository, digest, {size, true, true});
      } else {
        edit.put_link(repository + "/" + std::to_string(done % repositories), digest, {size, true, false});
      }
      std::puts(digest.to_string().c_str());
    }
    edit.save_totals();
    if (const auto committed = txn.commit(); !committed.ok()) fail(committed.error().message());
  }
  return 0;
}
