#include <algorithm>
#include <charconv>
#include <utility>

#include "guard.h"
#include "health.h"
#include "hosted.h"
#include "images.h"
#include "notifications.h"
#include "pins.h"
#include "pool_jobs.h"
#include "query.h"
#include "removal.h"
#include "reply.h"
#include "scrub.h"
#include "shoal/admin/admin.h"
#include "shoal/registry/name.h"
#include "status.h"

namespace shoal::admin {
namespace {

constexpr std::string_view kApi = "/api/v1/";
constexpr std::size_t kMaxPage = 1000;

std::string parameter(std::string_view query, std::string_view name) {
  return registry::query_value(query, name).value_or(std::string());
}

std::optional<Page> parse_page(std::string_view query) {
  Page page;
  page.last = parameter(query, "last");
  if (const auto text = parameter(query, "n"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), page.limit);
    if (error != std::errc() || end != text.data() + text.size() || page.limit == 0) return std::nullopt;
  }
  page.limit = std::min(page.limit, kMaxPage);
  return page;
}

}  // namespace

struct AdminHandler::Impl {
  Impl(Parts p, std::vector<std::string> hosts)
      : parts(p), allowed_hosts(std::move(hosts)), health(p, /*with_metrics=*/true), jobs(p.loop, p.pool) {}

  void read(std::string_view path, std::string_view query, http::Responder responder);
  void read_images(std::string repository, std::string_view query, http::Responder responder);
  void remove(std::string_view path, std::string_view query, http::Responder responder);
  void post(std::string_view path, std::string_view query, http::Responder responder);
  void collect_garbage(std::string_view query, http::Responder responder);
  void scrub(std::string_view query, http::Responder responder);
  void pin(std::string_view digest, std::string_view query, Pin pin, http::Responder responder);

  // Runs `make` (the store's side of a GET) on the pool.
  template <class Make>
  void answer_from_pool(http::Responder responder, Make make) {
    jobs.run(std::move(responder), [make = std::move(make)](PoolJobs::Answer answer) mutable { answer(make()); });
  }
  // From what the index says: nothing is absent only because it could not be read.
  template <class Make>
  void answer_from_index(http::Responder responder, Make make) {
    jobs.run(std::move(responder), [&store = parts.store, make = std::move(make)](PoolJobs::Answer answer) mutable {
      const store::ReadWatch reads(store);
      auto reply = make();
      answer(if_read(reads, std::move(reply)));
    });
  }
  static void no_such_path(http::Responder responder) {
    responder.send(error_reply(404, "NOT_FOUND", "the admin API has no such path"));
  }

  Parts parts;
  std::vector<std::string> allowed_hosts;
  HealthHandler health;
  PoolJobs jobs;
};

AdminHandler::AdminHandler(Parts parts, std::vector<std::string> allowed_hosts)
    : impl_(std::make_unique<Impl>(parts, std::move(allowed_hosts))) {}
AdminHandler::~AdminHandler() = default;

std::unique_ptr<http::Operation> AdminHandler::handle(const http::Request& request, http::Responder responder) {
  if (auto refusal = refuse_stranger(request, impl_->allowed_hosts)) {
    responder.send(std::move(*refusal));
    return nullptr;
  }
  const auto decoded = registry::decode_path(path_of(request));
  if (!decoded || !decoded->starts_with(kApi)) return impl_->health.handle(request, std::move(responder));
  const auto path = std::string_view(*decoded).substr(kApi.size());
  const auto query = query_of(request);
  switch (request.method) {
    case http::Method::get:
    case http::Method::head: impl_->read(path, query, std::move(responder)); break;
    case http::Method::del: impl_->remove(path, query, std::move(responder)); break;
    case http::Method::post: impl_->post(path, query, std::move(responder)); break;
    case http::Method::put:
      if (path.starts_with("pins/")) {
        impl_->pin(path.substr(5), query, Pin::keep, std::move(responder));
      } else {
        Impl::no_such_path(std::move(responder));
      }
      break;
    default: {
      auto refusal = error_reply(405, "UNSUPPORTED", "only GET, HEAD, POST, PUT and DELETE here");
      refusal.headers.add("Allow", "GET, HEAD, POST, PUT, DELETE");
      responder.send(std::move(refusal));
    }
  }
  return nullptr;
}

void AdminHandler::Impl::post(std::string_view path, std::string_view query, http::Responder responder) {
  if (path == "reload") {
    parts.node.reload(
        [answer = jobs.answer(std::move(responder))](ReloadReport report) mutable { answer(reload_reply(report)); });
  } else if (path == "gc") {
    collect_garbage(query, std::move(responder));
  } else if (path == "scrub") {
    scrub(query, std::move(responder));
  } else if (path.starts_with("notifications/") && path.ends_with("/retry")) {
    retry_dead(parts.notifications, std::string(path.substr(14, path.size() - 20)), jobs.answer(std::move(responder)));
  } else {
    no_such_path(std::move(responder));
  }
}

void AdminHandler::Impl::collect_garbage(std::string_view query, http::Responder responder) {
  const auto parsed = Query::parse(query, {"dry_run", "untagged"});
  if (!parsed) return responder.send(error_reply(parsed.error()));
  const GcRequest request{parsed->flag("dry_run"), parsed->flag("untagged")};
  parts.node.collect_garbage(
      request, [request, answer = jobs.answer(std::move(responder))](base::Result<GcOutcome> result) mutable {
        answer(gc_reply(result, request));
      });
}

void AdminHandler::Impl::scrub(std::string_view query, http::Responder responder) {
  const auto request = parse_scrub(query);
  if (!request) return responder.send(error_reply(request.error()));
  answer_from_pool(std::move(responder),
                   [&p = parts, request = *request] { return admin::scrub(p.store, p.node, request); });
}

void AdminHandler::Impl::pin(std::string_view digest, std::string_view query, Pin pin, http::Responder responder) {
  const auto parsed = Query::parse(query, {"dry_run"}, {"name"});
  if (!parsed) return responder.send(error_reply(parsed.error()));
  PinRequest request{std::string(digest), parsed->text("name"), pin, parsed->flag("dry_run")};
  jobs.run(std::move(responder), [&p = parts, request = std::move(request)](PoolJobs::Answer answer) mutable {
    set_pin(p.store, p.loop, std::chrono::system_clock::now(), request, std::move(answer));
  });
}

void AdminHandler::Impl::read(std::string_view path, std::string_view query, http::Responder responder) {
  if (path == "status") {
    answer_from_pool(std::move(responder), [&p = parts] { return status_reply(p, std::chrono::system_clock::now()); });
  } else if (path == "peers") {
    responder.send(peers_reply(parts.node));
  } else if (path == "swarms") {
    if (!parts.node.site()) return responder.send(no_site_reply());
    parts.node.swarms([answer = jobs.answer(std::move(responder))](
                          const std::vector<p2p::SwarmStatus>& swarms) mutable { answer(swarms_reply(swarms)); });
  } else if (path == "upstreams") {
    answer_from_pool(std::move(responder), [&p = parts] { return upstreams_reply(p.node); });
  } else if (path == "config") {
    answer_from_pool(std::move(responder),
                     [&p = parts] { return text_reply(200, "application/yaml", p.node.config_text()); });
  } else if (path == "hosted") {
    const auto page = parse_page(query);
    if (!page) return responder.send(error_reply(400, "BAD_REQUEST", "n must be a positive number"));
    answer_from_index(std::move(responder), [&p = parts, page = *page] { return list_hosted(p.store, page); });
  } else if (path == "pins") {
    const auto page = parse_page(query);
    if (!page) return responder.send(error_reply(400, "BAD_REQUEST", "n must be a positive number"));
    answer_from_index(std::move(responder), [&p = parts, page = *page] { return list_pins(p.store, page); });
  } else if (path == "notifications") {
    answer_from_pool(std::move(responder), [&p = parts] { return notifications_reply(p.notifications); });
  } else if (path.starts_with("notifications/") && path.ends_with("/dead")) {
    const auto page = parse_page(query);
    if (!page) return responder.send(error_reply(400, "BAD_REQUEST", "n must be a positive number"));
    list_dead(parts.notifications, std::string(path.substr(14, path.size() - 19)), page->limit,
              jobs.answer(std::move(responder)));
  } else if (path == "images") {
    read_images(parameter(query, "repository"), query, std::move(responder));
  } else if (path.starts_with("images/")) {
    read_images(std::string(path.substr(7)), query, std::move(responder));
  } else if (path.starts_with("blobs/")) {
    answer_from_index(std::move(responder), [&store = parts.store, digest = std::string(path.substr(6))] {
      return show_blob(store, digest);
    });
  } else {
    no_such_path(std::move(responder));
  }
}

void AdminHandler::Impl::read_images(std::string repository, std::string_view query, http::Responder responder) {
  auto tag = parameter(query, "tag");
  auto digest = parameter(query, "digest");
  if (!repository.empty() && (!tag.empty() || !digest.empty())) {
    answer_from_index(std::move(responder),
                      [&store = parts.store, repository = std::move(repository), tag = std::move(tag),
                       digest = std::move(digest)] { return show_manifest(store, repository, tag, digest); });
    return;
  }
  const auto page = parse_page(query);
  if (!page) return responder.send(error_reply(400, "BAD_REQUEST", "n must be a positive number"));
  answer_from_index(std::move(responder), [&store = parts.store, repository = std::move(repository), page = *page] {
    return repository.empty() ? list_repositories(store, page) : list_tags(store, repository, page);
  });
}

void AdminHandler::Impl::remove(std::string_view path, std::string_view query, http::Responder responder) {
  if (path.starts_with("blobs/")) {
    const auto parsed = Query::parse(query, {"dry_run"});
    if (!parsed) return responder.send(error_reply(parsed.error()));
    answer_from_pool(std::move(responder),
                     [&p = parts, digest = std::string(path.substr(6)), dry_run = parsed->flag("dry_run")] {
                       return dry_run ? foresee_blob_removal(p.store, digest) : remove_blob(p.store, *p.events, digest);
                     });
  } else if (path.starts_with("pins/")) {
    pin(path.substr(5), query, Pin::release, std::move(responder));
  } else if (path.starts_with("images/")) {
    // Without a tag the whole repository goes, so anything that could be a misspelt tag= is refused.
    const auto parsed = Query::parse(query, {"dry_run"}, {"tag"});
    if (!parsed) {
      return responder.send(error_reply(
          parsed.error().at("give tag=<tag>, or nothing to remove the repository; blobs have a path of their own, "
                            "/api/v1/blobs/<digest>")));
    }
    jobs.run(std::move(responder), [&p = parts, repository = std::string(path.substr(7)), tag = parsed->text("tag"),
                                    dry_run = parsed->flag("dry_run")](PoolJobs::Answer answer) mutable {
      const store::ReadWatch reads(p.store);
      const bool hosted = p.store.hosted().is_hosted(repository);
      if (reads.failed()) return answer(error_reply(store::unreadable_index()));
      if (dry_run && hosted) {
        foresee_hosted_removal(p.store, p.node, repository, tag, std::move(answer));
      } else if (dry_run) {
        auto reply = foresee_mirrored_removal(p.store, repository, tag);
        answer(if_read(reads, std::move(reply)));
      } else if (hosted) {
        remove_hosted(p.store, *p.events, p.loop, repository, tag, std::move(answer));
      } else {
        remove_image(p.store, *p.events, p.loop, repository, tag, std::move(answer));
      }
    });
  } else {
    no_such_path(std::move(responder));
  }
}

}  // namespace shoal::admin
