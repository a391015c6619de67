#include "dead_letters.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "record.h"

namespace shoal::notify {
namespace {

constexpr std::size_t kMaxFile = 256 << 20;  // nothing we wrote is longer

}  // namespace

base::Result<void> DeadLetters::open() {
  auto file = open_file(path(), O_RDWR | O_CREAT);
  if (!file) return file.error();
  const auto whole = size_of(**file);
  if (!whole) return whole.error().at("open", path());
  const auto bytes = read_at(**file, 0, static_cast<std::size_t>(std::min<std::uint64_t>(*whole, kMaxFile)));
  if (!bytes) return bytes.error().at("read", path());
  size_ = 0;
  count_ = 0;
  if (bytes->starts_with(kFileLine)) {
    size_ = kFileLine.size();
    for (; const auto frame = parse_frame(std::string_view(*bytes).substr(size_)); ++count_) size_ += frame->size();
  }
  if (size_ < *whole) {
    if (auto cut = cut_at(**file, size_); !cut) return cut.error().at("open", path());
  }
  file_ = std::move(*file);
  return {};
}

base::Result<void> DeadLetters::add(const std::vector<std::string>& payloads, std::size_t limit) {
  std::string bytes(size_ == 0 ? kFileLine : std::string_view());
  auto number = count_;
  for (const auto& payload : payloads) append_frame(bytes, ++number, payload);
  auto kept = write_at(*file_, bytes, size_);
  if (kept) kept = sync_file(*file_);
  if (!kept) {
    (void)cut_at(*file_, size_);  // what stays of it is written over, or cut at the next start
    return kept.error().at("append to", path());
  }
  size_ += bytes.size();
  count_ = number;
  if (count_ <= limit + limit / 4) return {};  // not at each
  auto all = read();
  if (!all) return all.error();
  if (all->size() > limit) all->erase(all->begin(), all->end() - static_cast<std::ptrdiff_t>(limit));
  return replace(*all);
}

base::Result<std::vector<std::string>> DeadLetters::read() const {
  const auto bytes = read_at(*file_, 0, static_cast<std::size_t>(size_));
  if (!bytes) return bytes.error().at("read", path());
  std::vector<std::string> payloads;
  if (bytes->empty()) return payloads;
  std::string_view rest = std::string_view(*bytes).substr(std::min(kFileLine.size(), bytes->size()));
  while (const auto frame = parse_frame(rest)) {
    payloads.emplace_back(frame->payload);
    rest.remove_prefix(frame->size());
  }
  return payloads;
}

base::Result<void> DeadLetters::replace(const std::vector<std::string>& payloads) {
  std::string bytes(kFileLine);
  std::size_t number = 0;
  for (const auto& payload : payloads) append_frame(bytes, ++number, payload);
  const auto beside = path() + ".new";
  auto file = open_file(beside, O_RDWR | O_CREAT | O_TRUNC);
  if (!file) return file.error();
  auto kept = write_at(**file, bytes, 0);
  if (kept) kept = sync_file(**file);
  if (!kept) return kept.error().at("write", beside);
  if (std::rename(beside.c_str(), path().c_str()) != 0) return base::from_errno(errno, "rename to", path());
  file_ = std::move(*file);
  size_ = bytes.size();
  count_ = number;
  return sync_directory(directory_);
}

}  // namespace shoal::notify
