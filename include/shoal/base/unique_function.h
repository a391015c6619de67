// UniqueFunction<R(Args...)>: a move-only std::function. Small callables (up to 48 bytes) live inside.
// Stands in for C++23's std::move_only_function. Calling an empty one is a bug and aborts.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace shoal::base {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}

  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
                                              std::is_invocable_r_v<R, std::decay_t<F>&, Args...>>>
  UniqueFunction(F&& f) {
    using Callable = std::decay_t<F>;
    if constexpr (fits<Callable>()) {
      new (&storage_) Callable(std::forward<F>(f));
      ops_ = &kInline<Callable>;
    } else {
      *reinterpret_cast<Callable**>(&storage_) = new Callable(std::forward<F>(f));
      ops_ = &kHeap<Callable>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  UniqueFunction(const UniqueFunction&) = delete;
  UniqueFunction& operator=(const UniqueFunction&) = delete;
  ~UniqueFunction() { reset(); }

  explicit operator bool() const { return ops_ != nullptr; }

  R operator()(Args... args) {
    if (ops_ == nullptr) std::abort();
    return ops_->call(&storage_, std::forward<Args>(args)...);
  }

 private:
  struct Ops {
    R (*call)(void*, Args&&...);
    void (*move)(void* from, void* to) noexcept;  // also ends the life of *from
    void (*destroy)(void*) noexcept;
  };
  static constexpr std::size_t kInlineSize = 48;

  template <class C>
  static constexpr bool fits() {
    return sizeof(C) <= kInlineSize && alignof(C) <= alignof(std::max_align_t) &&
           std::is_nothrow_move_constructible_v<C>;
  }
  template <class C>
  static constexpr Ops kInline = {
      [](void* self, Args&&... args) -> R { return (*static_cast<C*>(self))(std::forward<Args>(args)...); },
      [](void* from, void* to) noexcept {
        new (to) C(std::move(*static_cast<C*>(from)));
        static_cast<C*>(from)->~C();
      },
      [](void* self) noexcept { static_cast<C*>(self)->~C(); }};
  template <class C>
  static constexpr Ops kHeap = {
      [](void* self, Args&&... args) -> R { return (**static_cast<C**>(self))(std::forward<Args>(args)...); },
      [](void* from, void* to) noexcept { *static_cast<C**>(to) = *static_cast<C**>(from); },
      [](void* self) noexcept { delete *static_cast<C**>(self); }};

  void take(UniqueFunction& other) noexcept {
    if (other.ops_ == nullptr) return;
    ops_ = std::exchange(other.ops_, nullptr);
    ops_->move(&other.storage_, &storage_);
  }
  void reset() noexcept {
    if (ops_ != nullptr) std::exchange(ops_, nullptr)->destroy(&storage_);
  }

  alignas(std::max_align_t) std::byte storage_[kInlineSize];
  const Ops* ops_ = nullptr;
};

}  // namespace shoal::base
