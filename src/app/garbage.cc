#include "garbage.h"

#include <charconv>

#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::app {
namespace {

using obs::Category;

constexpr const char* kLastKey = "gc/last";  // seconds since the epoch, as text

std::optional<base::WallTime> parse_seconds(const std::string& text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return base::WallTime(std::chrono::seconds(seconds));
}

// What the rules would take away before a collection.
std::function<base::Result<store::Supposed>(const std::string&)> retention_before(
    store::Store& store, base::Clock& clock, const sync::RetentionOptions& options) {
  if (options.rules.empty()) return nullptr;
  return [&store, &clock, options](const std::string& repository) -> base::Result<store::Supposed> {
    auto plan = sync::plan_retention(store.hosted(), options, repository, clock.wall_now());
    if (!plan) return plan.error().at("retention", repository);
    store::Supposed gone;
    for (auto& [tag, digest] : plan->tags) gone.tags.emplace(std::move(tag), digest);
    return gone;
  };
}

store::PutState last_state(base::WallTime at) {
  return {kLastKey, base::format("{}", std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count())};
}

}  // namespace

Garbage::Garbage(store::Store& store, base::Executor& pool, base::Clock& clock, obs::Metrics& metrics)
    : store_(store), pool_(pool), clock_(clock), probe_(metrics), last_(clock.wall_now()), strand_(pool) {
  const auto saved = store_.find_state(kLastKey);
  const auto last = saved ? parse_seconds(*saved) : std::nullopt;
  if (last && *last <= last_) {
    last_ = *last;
  } else {
    store_.commit({last_state(last_)}, pool_, nullptr);  // a new node: counted from now on
  }
}

void Garbage::set_options(std::chrono::seconds interval, store::GcOptions options, sync::RetentionOptions retention) {
  const std::lock_guard lock(mutex_);
  retention_ = std::move(retention);
  interval_ = interval;
  options_ = options;
}

store::GcOptions Garbage::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void Garbage::stop() {
  strand_.stop();
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

void Garbage::run_if_due() {
  {
    const std::lock_guard lock(mutex_);
    if (running_ || interval_.count() == 0 || clock_.wall_now() < last_ + interval_) return;
  }
  run(options(), nullptr);
}

void Garbage::run(store::GcOptions options, Done done) {
  sync::RetentionOptions retention;
  {
    const std::lock_guard lock(mutex_);
    if (running_) {
      if (!done) return;
      pool_.post([done = std::move(done)]() mutable {
        done(base::Error(base::ErrorKind::busy, "garbage is being collected already"));
      });
      return;
    }
    running_ = true;
    retention = retention_;
  }
  probe_.began();
  const auto began = clock_.steady_now();
  retention.dry_run = options.dry_run;
  if (options.dry_run) options.suppose = retention_before(store_, clock_, retention);
  strand_.post([this, options, began, retention = std::move(retention), done = std::move(done)]() mutable {
    if (retention.rules.empty()) return retained(options, began, std::move(done), sync::RetentionReport{});
    run_ = std::make_unique<sync::RetentionRun>(store_, strand_, clock_, std::move(retention));
    run_->start([this, options, began, done = std::move(done)](base::Result<sync::RetentionReport> result) mutable {
      retained(options, began, std::move(done), std::move(result));
    });
  });
}

void Garbage::retained(const store::GcOptions& options, base::SteadyTime began, Done done,
                       base::Result<sync::RetentionReport> result) {
  if (!result) {
    base::Result<admin::GcOutcome> failed(result.error());
    ended(options, began, failed);
    if (done) done(std::move(failed));
    return;
  }
  if (options.dry_run) return foresee_all(options, began, std::move(done), std::move(*result));
  store_.hosted().collect_garbage(
      options, pool_,
      [this, options, began, retention = std::move(*result),
       done = std::move(done)](base::Result<store::GcReport> report) mutable {
        auto outcome = report ? base::Result<admin::GcOutcome>(admin::GcOutcome{std::move(retention), *report})
                              : base::Result<admin::GcOutcome>(report.error());
        ended(options, began, outcome);
        if (done) done(std::move(outcome));
      });
}

void Garbage::foresee_all(const store::GcOptions& options, base::SteadyTime began, Done done,
                          sync::RetentionReport retention) {
  foresee(options, [this, options, began, retention = std::move(retention),
                    done = std::move(done)](base::Result<admin::GcForecast> forecast) mutable {
    auto outcome = forecast
                       ? base::Result<admin::GcOutcome>(admin::GcOutcome{std::move(retention), std::move(forecast->now),
                                                                         std::move(forecast->in_time), forecast->grace})
                       : base::Result<admin::GcOutcome>(forecast.error());
    ended(options, began, outcome);
    if (done) done(std::move(outcome));
  });
}

// On the strand, which is shut before the store goes: the second round begins there.
void Garbage::foresee(store::GcOptions options, Foreseen done) {
  options.dry_run = true;
  auto in_time = options;
  in_time.grace = std::chrono::seconds(0);
  const auto grace = options.grace;
  store_.hosted().collect_garbage(
      std::move(options), strand_,
      [this, in_time = std::move(in_time), grace, done = std::move(done)](base::Result<store::GcReport> now) mutable {
        if (!now) return done(now.error());
        if (grace.count() == 0) return done(admin::GcForecast{*now, *now, grace});
        store_.hosted().collect_garbage(
            std::move(in_time), strand_,
            [now = std::move(*now), grace, done = std::move(done)](base::Result<store::GcReport> later) mutable {
              if (!later) return done(later.error());
              done(admin::GcForecast{std::move(now), std::move(*later), grace});
            });
      });
}

void Garbage::ended(const store::GcOptions& options, base::SteadyTime began,
                    const base::Result<admin::GcOutcome>& outcome) {
  const bool ok = outcome.ok();
  const std::chrono::duration<double> took = clock_.steady_now() - began;
  {
    // A failed one, too, is not tried again before its time: the reason is in the log, and `shoal gc` is there.
    const std::lock_guard lock(mutex_);
    running_ = false;
    if (!options.dry_run) last_ = clock_.wall_now();
    if (!options.dry_run && ok && !stopped_) store_.commit({last_state(last_)}, pool_, nullptr);
  }
  if (!ok) {
    probe_.failed();
    if (outcome.error().kind() == base::ErrorKind::cancelled) return;  // the node stops
    obs::error(Category::app, "garbage collection failed after {:.1f} s: {}", took.count(), outcome.error().message());
    return;
  }
  if (options.dry_run) return probe_.looked();
  const auto* result = &outcome->garbage;
  probe_.done(*result, took);
  const bool idle = result->repositories == 0 && result->uploads_removed == 0;  // a mirror that hosts nothing
  obs::log(idle ? obs::Level::debug : obs::Level::info, Category::app,
           "garbage collected in {:.1f} s: {} repositories seen; removed {} tags by retention rules, {} manifests, {} "
           "links, {} blobs ({} bytes), "
           "{} abandoned uploads, {} empty repositories",
           took.count(), result->repositories, outcome->retention.tags_removed, result->manifests_removed,
           result->links_removed, result->blobs_removed, result->bytes_freed, result->uploads_removed,
           result->repositories_removed);
}

}  // namespace shoal::app
