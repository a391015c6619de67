#include "shoal/base/error.h"

#include <cerrno>
#include <system_error>

namespace shoal::base {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::denied: return "denied";
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::busy: return "busy";
    case ErrorKind::gone: return "gone";
    case ErrorKind::timeout: return "timeout";
    case ErrorKind::corrupt: return "corrupt";
    case ErrorKind::full: return "full";
    case ErrorKind::cancelled: return "cancelled";
    case ErrorKind::bug: return "bug";
  }
  return "bug";
}

Error Error::at(std::string_view operation, std::string_view subject) const {
  Error outer = *this;
  outer.message_ = std::string(operation);
  if (!subject.empty()) outer.message_.append(" ").append(subject);
  outer.message_.append(": ").append(message_);
  return outer;
}

Error Error::retry_after(std::chrono::seconds wait) const {
  Error copy = *this;
  copy.retry_after_ = wait;
  return copy;
}

Error from_errno(int error, std::string_view operation, std::string_view subject) {
  ErrorKind kind = ErrorKind::gone;
  switch (error) {
    case ENOENT: kind = ErrorKind::not_found; break;
    case EACCES:
    case EPERM: kind = ErrorKind::denied; break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: kind = ErrorKind::full; break;
    case EMFILE:
    case ENFILE: kind = ErrorKind::busy; break;
    case EINVAL: kind = ErrorKind::invalid; break;
    default: break;
  }
  return Error(kind, std::generic_category().message(error)).at(operation, subject);
}

}  // namespace shoal::base
