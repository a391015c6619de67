// StreamedBody: the bytes of one request's body between the connection, which puts them in, and the handler's
// operation, which reads them. Shared by both: the operation may keep it after the connection is gone. One loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/base/loop.h"
#include "shoal/http/server.h"

namespace shoal::http {

class StreamedBody final : public RequestBody, public std::enable_shared_from_this<StreamedBody> {
 public:
  // `wanted` runs inside read() when nothing is here yet, and when a reader has made room: more may be put in.
  StreamedBody(base::Loop& loop, std::size_t chunk_bytes, std::optional<std::uint64_t> length,
               base::UniqueFunction<void()> wanted)
      : loop_(loop), chunk_bytes_(chunk_bytes), length_(length), wanted_(std::move(wanted)) {}

  void read(base::UniqueFunction<void(base::Result<Chunk>)> done) override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return length_; }

  // The connection's side. What was put in before an end or an error is still read; after either, nothing is put in.
  void append(std::string_view bytes);
  void end();
  void fail(base::Error error);
  [[nodiscard]] std::size_t room() const { return held_.size() < chunk_bytes_ ? chunk_bytes_ - held_.size() : 0; }
  [[nodiscard]] bool was_read() const { return was_read_; }
  [[nodiscard]] bool starved() const { return reader_ && held_.empty() && !over(); }  // a reader waits for the client

 private:
  [[nodiscard]] bool over() const { return ended_ || error_.has_value(); }
  void deliver_later();
  void deliver();

  base::Loop& loop_;
  std::size_t chunk_bytes_;
  std::optional<std::uint64_t> length_;
  base::UniqueFunction<void()> wanted_;
  base::UniqueFunction<void(base::Result<Chunk>)> reader_;
  std::string held_;
  std::uint64_t total_ = 0;
  std::optional<base::Error> error_;
  bool ended_ = false;
  bool was_read_ = false;
  bool delivery_posted_ = false;
};

}  // namespace shoal::http
