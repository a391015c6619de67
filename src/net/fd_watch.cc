#include "loop_impl.h"

namespace shoal::net {

struct FdWatch::Impl final : OwnedHandle {
  uv_poll_t poll;
  bool usable = false;   // uv_poll_init took the fd
  bool dropped = false;  // the FdWatch is gone
  base::UniqueFunction<void(unsigned, bool)> ready;

  static Impl* of(void* data) { return static_cast<Impl*>(static_cast<OwnedHandle*>(data)); }
  static void on_closed(uv_handle_t* handle) {
    Impl* self = of(handle->data);
    self->usable = false;
    if (self->dropped) delete self;
  }
  static void on_poll(uv_poll_t* handle, int status, int events) {
    Impl* self = of(handle->data);
    static_cast<EventLoop::Impl*>(handle->loop->data)->touch();
    unsigned seen = none;
    if ((events & UV_READABLE) != 0) seen |= readable;
    if ((events & UV_WRITABLE) != 0) seen |= writable;
    auto call = std::move(self->ready);  // the watch may be dropped inside
    call(seen, status < 0);
    if (!self->dropped) self->ready = std::move(call);
  }
};

FdWatch::FdWatch(EventLoop& loop, int fd, base::UniqueFunction<void(unsigned, bool)> ready) : impl_(new Impl) {
  impl_->closed = Impl::on_closed;
  impl_->ready = std::move(ready);
  impl_->usable = uv_poll_init(&loop.impl().loop, &impl_->poll, fd) == 0;
  impl_->poll.data = static_cast<OwnedHandle*>(impl_);
}

FdWatch::~FdWatch() {
  impl_->dropped = true;
  if (!impl_->usable) {
    delete impl_;
    return;
  }
  auto* handle = reinterpret_cast<uv_handle_t*>(&impl_->poll);
  if (uv_is_closing(handle) == 0) uv_close(handle, Impl::on_closed);  // stops at once, frees later
}

void FdWatch::want(unsigned events) {
  if (!impl_->usable) return;
  if (events == none) {
    (void)uv_poll_stop(&impl_->poll);
    return;
  }
  int wish = 0;
  if ((events & readable) != 0) wish |= UV_READABLE;
  if ((events & writable) != 0) wish |= UV_WRITABLE;
  (void)uv_poll_start(&impl_->poll, wish, Impl::on_poll);  // fails only for a closing handle
}

}  // namespace shoal::net
