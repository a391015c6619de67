#include "engine.h"

#include <netdb.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "connection.h"
#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::Error;
using base::ErrorKind;
using base::format;

constexpr std::size_t kBuffer = 256 * 1024;
constexpr int kEvents = 128;
constexpr std::chrono::milliseconds kLookEvery{100};

// Microseconds count: an open loop is late by as much as this is.
int wait(int epoll, epoll_event* events, std::chrono::nanoseconds at_most) {
  at_most = std::clamp<std::chrono::nanoseconds>(at_most, std::chrono::nanoseconds(0), kLookEvery);
  const timespec time{0, static_cast<long>(at_most.count())};
  const int count = ::epoll_pwait2(epoll, events, kEvents, &time, nullptr);
  if (count >= 0 || errno != ENOSYS) return count;
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(at_most).count();  // Linux before 5.11
  return ::epoll_wait(epoll, events, kEvents, static_cast<int>(milliseconds));
}

bool is_redirect(const AnswerHead& head) {
  const int s = head.status;
  return (s == 301 || s == 302 || s == 303 || s == 307 || s == 308) && !head.location.empty();
}

std::string path_of(std::string_view url) {
  const auto begin = url.find('/', url.find("://") + 3);
  const auto path = begin == std::string_view::npos ? std::string_view("/") : url.substr(begin);
  return std::string(path.substr(0, path.find('#')));
}

}  // namespace

Engine::Engine(Options options)
    : options_(std::move(options)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      max_connections_(options_.max_connections),
      buffer_(kBuffer) {
  if (epoll_ < 0) std::abort();  // no descriptor left at the very start
  now_ = std::chrono::steady_clock::now();
}

Engine::~Engine() {
  drop_all();
  ::close(epoll_);
}

base::Result<const Route*> Engine::route(const std::string& url) {
  const auto origin = fetch::origin_of(url);
  if (!origin) return Error(ErrorKind::invalid, format("{}: not an http or https URL", fetch::printable_url(url)));
  const bool v6 = origin->host.find(':') != std::string::npos;
  const auto host = v6 ? format("[{}]", origin->host) : origin->host;
  const auto name = format("{}://{}:{}", origin->scheme, host, origin->port);
  auto& known = routes_[name];
  if (known) return known.get();
  if (origin->scheme == "https" && !tls_) {
    auto loaded = tls::ClientContext::load(options_.tls);
    if (!loaded.ok()) return loaded.error();
    tls_ = std::move(*loaded);
  }
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const int failed = ::getaddrinfo(origin->host.c_str(), std::to_string(origin->port).c_str(), &hints, &found);
  if (failed != 0) return Error(ErrorKind::gone, format("DNS: {}: {}", origin->host, ::gai_strerror(failed)));
  auto made = std::make_unique<Route>();
  made->origin = *origin;
  made->url = name;
  made->host_header =
      origin->port == (origin->scheme == "https" ? 443 : 80) ? host : format("{}:{}", host, origin->port);
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    sockaddr_storage address{};
    std::memcpy(&address, each->ai_addr, each->ai_addrlen);
    made->addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  known = std::move(made);
  return known.get();
}

void Engine::start(Ask ask, Done done) {
  auto job = std::make_unique<Job>();
  job->ask = std::move(ask);
  job->done = std::move(done);
  job->answer.began = std::chrono::steady_clock::now();
  job->answer.due = job->ask.due == Time{} ? job->answer.began : job->ask.due;
  ++running_;
  dispatch(std::move(job));
}

void Engine::dispatch(std::unique_ptr<Job> job) {
  auto& idle = idle_[job->ask.route];
  if (!idle.empty() && !job->ask.close && !job->fresh) {
    auto* connection = idle.back();
    idle.pop_back();
    job->answer.sent = std::chrono::steady_clock::now();
    connection->ask(std::move(job));
    if (connection->state() == Connection::State::over) again_.push_back(connection);
    return;
  }
  if (connections_.size() >= max_connections_) {
    for (auto& [route, list] : idle_) {  // one that nobody needs now makes room
      if (list.empty()) continue;
      auto* connection = list.front();
      list.erase(list.begin());
      remove(*connection);
      break;
    }
  }
  if (connections_.size() >= max_connections_) {
    ++waited_;
    waiting_.push_back(std::move(job));
    return;
  }
  connect(std::move(job));
}

void Engine::connect(std::unique_ptr<Job> job) {
  job->answer.sent = std::chrono::steady_clock::now();
  auto made = std::make_unique<Connection>(*this, *job->ask.route, job->address);
  auto* connection = made.get();
  connections_.emplace(connection, std::move(made));
  connection->open(std::move(job));
  if (connection->state() == Connection::State::over) again_.push_back(connection);
}

void Engine::turn(Time until) {
  now_ = std::chrono::steady_clock::now();
  epoll_event events[kEvents];
  const bool at_once = !again_.empty() || !failed_.empty();
  const int count = wait(epoll_, events, at_once ? std::chrono::nanoseconds(0) : until - now_);
  now_ = std::chrono::steady_clock::now();
  auto again = std::move(again_);
  again_.clear();
  for (auto* connection : again) {
    if (connections_.find(connection) == connections_.end()) continue;
    if (connection->state() != Connection::State::over) connection->ready();
    settle(*connection);
  }
  for (int i = 0; i < count; ++i) {
    auto* connection = static_cast<Connection*>(events[i].data.ptr);
    if (connections_.find(connection) == connections_.end()) continue;
    connection->ready();
    settle(*connection);
  }
  auto failed = std::move(failed_);
  failed_.clear();
  for (auto& job : failed) end(std::move(job));
  look_for_timeouts(now_);
  dead_.clear();
}

void Engine::settle(Connection& connection) {
  if (connection.unheard()) again_.push_back(&connection);
  if (connection.state() != Connection::State::idle && connection.state() != Connection::State::over) return;
  auto job = connection.take_job();
  const bool quiet = !connection.answered();
  const bool over = connection.state() == Connection::State::over;
  if (over) {
    for (auto& [route, list] : idle_) std::erase(list, &connection);
    remove(connection);
  } else {
    release(connection);
  }
  if (job) {
    if (!job->answer.error.empty() && quiet && tried_again(job)) return;
    if (job->answer.error.empty() && is_redirect(job->answer.head) && job->answer.redirects < job->ask.redirects) {
      redirect(std::move(job));
    } else {
      end(std::move(job));
    }
  }
  while (!waiting_.empty() && (connections_.size() < max_connections_ || !idle_[waiting_.front()->ask.route].empty())) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    dispatch(std::move(next));
  }
}

// As clients do: a kept connection that was closed meanwhile, or a name with several addresses.
bool Engine::tried_again(std::unique_ptr<Job>& job) {
  const bool harmless = job->ask.method == "GET" || job->ask.method == "HEAD";
  const bool next_address = !job->answer.reused && job->address + 1 < job->ask.route->addresses.size();
  if (!(job->answer.reused && harmless && !job->fresh) && !next_address) return false;
  if (next_address) ++job->address;
  job->fresh = true;
  job->answer.error.clear();
  dispatch(std::move(job));
  return true;
}

void Engine::redirect(std::unique_ptr<Job> job) {
  auto& answer = job->answer;
  const auto target = fetch::resolve_url(job->ask.route->url + job->ask.path, answer.head.location);
  const auto next = target ? route(*target) : base::Result<const Route*>(Error(ErrorKind::gone, "a bad Location"));
  if (!next.ok()) {
    answer.error = format("redirect: {}", next.error().message());
    failed_.push_back(std::move(job));
    return;
  }
  if ((*next)->origin.host != job->ask.route->origin.host) job->ask.authorization.clear();
  job->ask.route = *next;
  job->ask.path = path_of(*target);
  job->address = 0;
  job->fresh = false;
  ++answer.redirects;
  answer.head = {};
  answer.body.clear();
  answer.bytes = 0;
  answer.first_byte = {};
  dispatch(std::move(job));
}

void Engine::end(std::unique_ptr<Job> job) {
  --running_;
  job->done(std::move(job->answer));
}

void Engine::release(Connection& connection) { idle_[&connection.route()].push_back(&connection); }

void Engine::remove(Connection& connection) {
  const auto found = connections_.find(&connection);
  dead_.push_back(std::move(found->second));
  connections_.erase(found);
}

void Engine::look_for_timeouts(Time now) {
  if (now < next_look_) return;
  next_look_ = now + kLookEvery;
  std::vector<Connection*> expired;
  for (const auto& [connection, owned] : connections_) {
    connection->expire(now);
    if (connection->state() == Connection::State::over) expired.push_back(connection);
  }
  for (auto* connection : expired) {
    if (connections_.find(connection) != connections_.end()) settle(*connection);
  }
}

void Engine::drop_all() {
  waiting_.clear();
  failed_.clear();
  again_.clear();
  idle_.clear();
  connections_.clear();
  dead_.clear();
  running_ = 0;
}

}  // namespace shoal::bench
