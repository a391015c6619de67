#include "support/fake_stream.h"

#include <unistd.h>

#include <algorithm>

namespace shoal::test {

FakeStream::~FakeStream() {
  wire_->dropped = true;
  wire_->reading = false;
}

bool FakeStream::deliver(base::Result<std::string_view> data) {
  if (!wire_->reading) return false;
  auto call = std::move(data_);
  const auto alive = life_.watch();
  call(std::move(data));
  if (!alive.gone() && !data_) data_ = std::move(call);
  return true;
}

bool FakeStream::arrive(std::string_view bytes) {
  const std::string copy(bytes);  // valid during the call only: a user that keeps the view is found by the sanitizer
  return deliver(std::string_view(copy));
}

bool FakeStream::fail() {
  wire_->broken = true;
  return deliver(base::Error(base::ErrorKind::gone, "receive: connection reset by peer"));
}

void FakeStream::make_room(std::size_t bytes) {
  wire_->room = bytes;
  if (ready_) wake();
}

void FakeStream::read_start(base::UniqueFunction<void(base::Result<std::string_view>)> data) {
  data_ = std::move(data);
  wire_->reading = true;
}

base::Result<std::size_t> FakeStream::write_some(std::span<const std::string_view> parts) {
  if (wire_->broken) return base::Error(base::ErrorKind::gone, "send: broken pipe");
  ++wire_->writes;
  std::size_t taken = 0;
  for (const auto part : parts) {
    const auto n = std::min(part.size(), wire_->room);
    wire_->sent.append(part.substr(0, n));
    if (wire_->room != SIZE_MAX) wire_->room -= n;
    taken += n;
  }
  return taken;
}

base::Result<std::size_t> FakeStream::send_file(const base::File& file, std::uint64_t offset, std::size_t size) {
  if (wire_->broken) return base::Error(base::ErrorKind::gone, "sendfile: broken pipe");
  std::string bytes(std::min(size, wire_->room), '\0');
  if (bytes.empty()) return std::size_t{0};
  const auto got = ::pread(file.fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (got <= 0) return base::Error(base::ErrorKind::corrupt, "sendfile: short file");
  wire_->sent.append(bytes, 0, static_cast<std::size_t>(got));
  if (wire_->room != SIZE_MAX) wire_->room -= static_cast<std::size_t>(got);
  return static_cast<std::size_t>(got);
}

void FakeStream::on_writable(base::UniqueFunction<void()> ready) {
  ready_ = std::move(ready);
  if (wire_->room > 0 || wire_->broken) wake();
}

void FakeStream::wake() {
  loop_.post([alive = life_.watch(), this] {
    if (alive.gone() || !ready_) return;
    auto ready = std::move(ready_);
    ready();
  });
}

void FakeStream::reset() {
  wire_->was_reset = true;
  wire_->broken = true;
  wire_->reading = false;
}

}  // namespace shoal::test
