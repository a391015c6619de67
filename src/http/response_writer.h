// ResponseWriter: moves one answer (head, then text or a ByteSource) into a Stream, as far as it goes without waiting,
// and says what to wait for. No callbacks, no timers: the connection does the waiting.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "resident_pages.h"
#include "response_head.h"
#include "shoal/base/byte_source.h"
#include "shoal/net/stream.h"

namespace shoal::http {

class ResponseWriter {
 public:
  enum class Status {
    done,     // everything is in the kernel
    socket,   // wait with Stream::on_writable
    source,   // wait with ByteSource::on_ready, then source_ready()
    disk,     // load pages_to_load() off the loop, then pages_loaded()
    yielded,  // its share of this turn is used up
    failed,   // the connection broke or the body failed: cut it
  };
  struct Pages {
    std::shared_ptr<const base::File> file;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  ResponseWriter(net::Stream& stream, ResidentPages& resident, std::uint64_t window_bytes)
      : stream_(stream), resident_(resident), window_bytes_(window_bytes) {}

  // Where the head goes: empty, its memory is reused from answer to answer.
  [[nodiscard]] std::string& head() { return prefix_; }
  // With Framing::none, or without a body to send (HEAD), text and source are not touched.
  void start(Framing framing, std::uint64_t length, std::string text, std::unique_ptr<base::ByteSource> source);

  [[nodiscard]] Status advance(base::SteadyTime now);
  void source_ready() { waiting_for_source_ = false; }
  [[nodiscard]] Pages pages_to_load() const;
  void pages_loaded() { loaded_until_ = file_.offset + file_.size; }

  // After Status::failed: what the source said, or the file. nullopt: it was the connection.
  [[nodiscard]] const std::optional<base::Error>& source_error() const { return source_error_; }
  void file_failed(base::Error error) {  // instead of pages_loaded(); or found by advance()
    source_error_ = std::move(error);
    file_failed_ = true;
  }
  [[nodiscard]] bool file_failed() const { return file_failed_; }
  [[nodiscard]] base::ByteSource* source() { return source_.get(); }
  [[nodiscard]] std::unique_ptr<base::ByteSource> finish();  // drops what is left; back to the state before start()

  [[nodiscard]] std::uint64_t body_bytes() const { return body_bytes_; }    // that the socket took
  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }  // with head and framing

 private:
  enum class Next { ready, failed };
  [[nodiscard]] bool holds_piece() const { return !memory_.empty() || file_.size > 0; }
  [[nodiscard]] Next take_piece();
  [[nodiscard]] bool accept(std::uint64_t size);
  void end_body();
  [[nodiscard]] std::optional<Status> write_memory();
  [[nodiscard]] std::optional<Status> write_file(base::SteadyTime now);

  net::Stream& stream_;
  ResidentPages& resident_;
  std::uint64_t window_bytes_;
  std::unique_ptr<base::ByteSource> source_;
  std::string prefix_;  // head, or chunk framing, before the piece
  std::size_t prefix_sent_ = 0;
  std::string text_;
  std::shared_ptr<const std::string> owner_;  // keeps memory_ alive; shared with the source
  std::string_view memory_;
  base::FileSlice file_;
  std::uint64_t file_identity_ = 0;
  std::uint64_t loaded_until_ = 0;  // file_ was loaded by us up to here: do not ask again
  std::uint64_t left_ = 0;          // of the declared length
  std::uint64_t body_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t turn_bytes_ = 0;
  Framing framing_ = Framing::none;
  std::optional<base::Error> source_error_;
  bool file_failed_ = false;
  bool any_chunk_ = false;
  bool body_ended_ = false;
  bool waiting_for_source_ = false;
};

}  // namespace shoal::http
