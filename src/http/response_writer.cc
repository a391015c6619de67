#include "response_writer.h"

#include <array>
#include <charconv>

namespace shoal::http {

namespace {
constexpr std::uint64_t kTurnBytes = 4ULL << 20;  // then the other connections have their turn
}

void ResponseWriter::start(Framing framing, std::uint64_t length, std::string text,
                           std::unique_ptr<base::ByteSource> source) {
  framing_ = framing;
  left_ = length;
  text_ = std::move(text);
  memory_ = text_;
  source_ = std::move(source);
  body_ended_ = source_ == nullptr || (framing == Framing::length && length == 0);
}

std::unique_ptr<base::ByteSource> ResponseWriter::finish() {
  prefix_.clear();
  prefix_sent_ = 0;
  text_ = std::string();
  memory_ = {};
  owner_.reset();
  file_ = {};
  file_identity_ = loaded_until_ = 0;
  body_bytes_ = total_bytes_ = turn_bytes_ = 0;
  any_chunk_ = body_ended_ = waiting_for_source_ = file_failed_ = false;
  source_error_.reset();
  return std::move(source_);
}

ResponseWriter::Status ResponseWriter::advance(base::SteadyTime now) {
  turn_bytes_ = 0;
  for (;;) {
    // A piece is fetched before the head is written, so that both leave in one segment.
    if (!holds_piece() && !body_ended_ && !waiting_for_source_ && take_piece() == Next::failed) return Status::failed;
    if (prefix_sent_ < prefix_.size() || !memory_.empty()) {
      if (const auto stop = write_memory()) return *stop;
      continue;
    }
    if (file_.size > 0) {
      if (const auto stop = write_file(now)) return *stop;
      continue;
    }
    if (body_ended_) return Status::done;
    if (waiting_for_source_) return Status::source;
    if (turn_bytes_ >= kTurnBytes) return Status::yielded;
  }
}

// A source that gives more than the declared length, or more than it was asked for, is broken: the head has promised
// otherwise.
bool ResponseWriter::accept(std::uint64_t size) {
  if (size == 0) return false;
  if (framing_ == Framing::length) {
    if (size > left_) return false;
    left_ -= size;
    body_ended_ = left_ == 0;
  }
  if (framing_ == Framing::chunked) {
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
    if (any_chunk_) prefix_.append("\r\n");
    prefix_.append(digits, end);
    prefix_.append("\r\n");
    any_chunk_ = true;
  }
  return true;
}

void ResponseWriter::end_body() {
  body_ended_ = true;
  if (framing_ == Framing::chunked) prefix_.append(any_chunk_ ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
}

ResponseWriter::Next ResponseWriter::take_piece() {
  const auto broken = [this](const char* what) {
    source_error_ = base::Error(base::ErrorKind::bug, what);
    return Next::failed;
  };
  auto pulled = source_->pull(framing_ == Framing::length ? std::min(window_bytes_, left_) : window_bytes_);
  if (auto* file = std::get_if<base::FileSlice>(&pulled)) {
    if (!accept(file->size)) return broken("the body is longer than its length");
    if (file_.file != file->file) {
      file_identity_ = ResidentPages::identify(*file->file);
      loaded_until_ = 0;
    }
    file_ = std::move(*file);
    return Next::ready;
  }
  if (auto* memory = std::get_if<base::MemorySlice>(&pulled)) {
    if (!accept(memory->bytes.size())) return broken("the body is longer than its length");
    owner_ = std::move(memory->owner);
    memory_ = memory->bytes;
    return Next::ready;
  }
  if (std::holds_alternative<base::SourcePending>(pulled)) {
    waiting_for_source_ = true;
    return Next::ready;
  }
  if (const auto* error = std::get_if<base::Error>(&pulled)) {
    source_error_ = *error;
    return Next::failed;
  }
  if (framing_ == Framing::length && left_ > 0) return broken("the body ended before its length");
  end_body();
  return Next::ready;
}

std::optional<ResponseWriter::Status> ResponseWriter::write_memory() {
  const auto prefix = std::string_view(prefix_).substr(prefix_sent_);
  const std::array<std::string_view, 2> parts{prefix, memory_};
  if (file_.size > 0) stream_.cork(true);
  const auto sent = stream_.write_some(parts);
  if (!sent) return Status::failed;
  const auto of_prefix = std::min(*sent, prefix.size());
  const auto of_memory = *sent - of_prefix;
  const bool all = *sent == prefix.size() + memory_.size();
  total_bytes_ += *sent;
  turn_bytes_ += *sent;
  body_bytes_ += of_memory;
  prefix_sent_ += of_prefix;
  memory_.remove_prefix(of_memory);
  if (prefix_sent_ == prefix_.size()) {
    prefix_.clear();
    prefix_sent_ = 0;
  }
  if (!all) {
    waiting_for_source_ = false;  // it is asked again once the socket has taken what is here
    return Status::socket;
  }
  owner_.reset();
  return std::nullopt;
}

std::optional<ResponseWriter::Status> ResponseWriter::write_file(base::SteadyTime now) {
  std::uint64_t ready = 0;
  if (file_.resident) {
    ready = file_.size;
  } else if (file_.only_cached) {
    ready = net::pages_resident(*file_.file, file_.offset, file_.size) ? file_.size : 0;
  } else if (file_.offset < loaded_until_) {
    ready = std::min(file_.size, loaded_until_ - file_.offset);
  } else {
    const auto ahead = framing_ == Framing::length ? file_.size + left_ : file_.size;
    ready = resident_.resident(*file_.file, file_identity_, file_.offset, file_.size, ahead, now);
  }
  if (ready == 0 && file_.only_cached) {
    file_failed(
        base::Error(base::ErrorKind::corrupt, "the disk did not take these bytes, and memory has let go of them"));
    return Status::failed;
  }
  if (ready == 0) {
    stream_.cork(false);  // a head that waits for its file may go
    return Status::disk;
  }
  const auto sent = stream_.send_file(*file_.file, file_.offset, ready);
  if (!sent && sent.error().kind() == base::ErrorKind::corrupt) file_failed(sent.error());  // not the client
  if (!sent) return Status::failed;
  if (*sent == 0) return Status::socket;
  total_bytes_ += *sent;
  turn_bytes_ += *sent;
  body_bytes_ += *sent;
  file_.offset += *sent;
  file_.size -= *sent;
  if (file_.size == 0) stream_.cork(false);
  return turn_bytes_ >= kTurnBytes ? std::optional(Status::yielded) : std::nullopt;
}

ResponseWriter::Pages ResponseWriter::pages_to_load() const { return {file_.file, file_.offset, file_.size}; }

}  // namespace shoal::http
