#include "cipher_bio.h"

#include <algorithm>

namespace shoal::tls {

namespace {

CipherBytes& bytes_of(BIO* bio) { return *static_cast<CipherBytes*>(BIO_get_data(bio)); }

int put(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  bytes_of(bio).out.append(data, size);
  *written = size;
  return 1;
}

int take(BIO* bio, char* to, std::size_t size, std::size_t* taken) {
  auto& bytes = bytes_of(bio);
  BIO_clear_retry_flags(bio);
  std::string_view from = bytes.held.empty() ? bytes.arriving : std::string_view(bytes.held);
  if (from.empty() || bytes.full()) {
    BIO_set_retry_read(bio);
    return 0;
  }
  *taken = from.copy(to, size);
  if (bytes.held.empty()) {
    bytes.arriving.remove_prefix(*taken);
  } else {
    bytes.held.erase(0, *taken);
  }
  return 1;
}

long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shoal");
    BIO_meth_set_write_ex(made, put);
    BIO_meth_set_read_ex(made, take);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return kMethod;
}

}  // namespace

BIO* make_cipher_bio(CipherBytes& bytes) {
  BIO* bio = BIO_new(method());
  BIO_set_data(bio, &bytes);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace shoal::tls
