// The names and the file calls of the queues. Blocks: on the pool only.
//
// <directory>/<endpoint>/
//   q-<16 hex>.log   a segment: its first line, then frames; named by the sequence number of its first record
//   cursor           how far delivery is
//   dead.log         dead letters, as a segment
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/byte_source.h"
#include "shoal/base/result.h"

namespace shoal::notify {

inline constexpr std::string_view kFileLine = "shoal-events 1\n";

[[nodiscard]] std::string segment_name(std::uint64_t first);
[[nodiscard]] std::optional<std::uint64_t> parse_segment_name(std::string_view name);
[[nodiscard]] inline std::string cursor_path(const std::string& directory) { return directory + "/cursor"; }
[[nodiscard]] inline std::string dead_path(const std::string& directory) { return directory + "/dead.log"; }

[[nodiscard]] base::Result<void> make_directories(const std::string& path);
[[nodiscard]] std::vector<std::uint64_t> list_segments(const std::string& directory);  // ascending
[[nodiscard]] base::Result<std::unique_ptr<base::File>> open_file(const std::string& path, int flags);
// Up to `most` bytes from `offset`; fewer only at the end.
[[nodiscard]] base::Result<std::string> read_at(const base::File& file, std::uint64_t offset, std::size_t most);
// After an error some of it may be there.
[[nodiscard]] base::Result<void> write_at(const base::File& file, std::string_view bytes, std::uint64_t offset);
[[nodiscard]] base::Result<void> cut_at(const base::File& file, std::uint64_t size);
[[nodiscard]] base::Result<void> sync_file(const base::File& file);
[[nodiscard]] base::Result<void> sync_directory(const std::string& path);
[[nodiscard]] base::Result<std::uint64_t> size_of(const base::File& file);

}  // namespace shoal::notify
