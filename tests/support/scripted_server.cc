#include "support/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

namespace shoal::test {
namespace {

int listen_on_loopback(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 256) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port = ntohs(address.sin_port);
  return fd;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void run(const std::string& command) {
  if (std::system((command + " >/dev/null 2>&1").c_str()) != 0) std::abort();
}

}  // namespace

TlsIdentity TlsIdentity::make(const std::string& dir, const std::string& san) {
  TlsIdentity id{dir + "/ca.pem", dir + "/server.pem", dir + "/server.key"};
  const std::string ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  run("openssl req -x509 " + ec + " -days 2 -subj '/CN=test CA' -keyout " + dir + "/ca.key -out " + id.ca_file);
  run("openssl req " + ec + " -subj /CN=server -keyout " + id.key_file + " -out " + dir + "/server.csr");
  std::ofstream(dir + "/san.cnf") << "subjectAltName=" << san << "\n";
  run("openssl x509 -req -in " + dir + "/server.csr -CA " + id.ca_file + " -CAkey " + dir +
      "/ca.key -CAcreateserial -days 2 -extfile " + dir + "/san.cnf -out " + id.cert_file);
  return id;
}

std::string ScriptedServer::Request::header(const std::string& name) const {
  const auto found = headers.find(lower(name));
  return found == headers.end() ? std::string() : found->second;
}
std::string ScriptedServer::Request::path() const { return target.substr(0, target.find('?')); }
std::string ScriptedServer::Request::query() const {
  const auto mark = target.find('?');
  return mark == std::string::npos ? std::string() : target.substr(mark + 1);
}

void ScriptedServer::Connection::reply(int status, std::string_view body, std::string_view headers) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " Status\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n" + std::string(headers) + "\r\n";
  if (!head_request_) out.append(body);
  send(out);
}

struct ScriptedServer::Socket final : Connection {
  Socket(ScriptedServer& s, int f) : server(s), fd(f) {}
  ~Socket() override {
    if (ssl != nullptr) SSL_free(ssl);
    if (fd >= 0) ::close(fd);
  }
  bool handshake() {
    if (server.tls_context_ == nullptr) return true;
    ssl = SSL_new(static_cast<SSL_CTX*>(server.tls_context_));
    SSL_set_fd(ssl, fd);
    return SSL_accept(ssl) == 1;
  }
  bool send(std::string_view bytes) override {
    while (!bytes.empty()) {
      const long n = ssl != nullptr ? SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()))
                                    : ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  std::size_t receive(char* to, std::size_t size) override {
    const long n = ssl != nullptr ? SSL_read(ssl, to, static_cast<int>(size)) : ::recv(fd, to, size, 0);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  void reset() override {
    const linger now{1, 0};
    (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    const std::lock_guard lock(server.mutex_);
    ::close(fd);
    fd = -1;
    close();
  }
  bool idle(std::chrono::milliseconds time) override {
    std::unique_lock lock(server.mutex_);
    return !server.stopped_.wait_for(lock, time, [this] { return server.stop_; });
  }
  void wait_for_client_to_leave() override {
    char byte;
    while (receive(&byte, 1) > 0) {
    }
    close();
  }

  ScriptedServer& server;
  int fd;
  SSL* ssl = nullptr;
};

ScriptedServer::ScriptedServer(Handler handler, const TlsIdentity* tls) : handler_(std::move(handler)) {
  (void)::signal(SIGPIPE, SIG_IGN);  // SSL_write has no MSG_NOSIGNAL
  if (tls != nullptr) {
    auto* context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, tls->cert_file.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, tls->key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
      std::abort();
    }
    tls_context_ = context;
  }
  listen_fd_ = listen_on_loopback(port_);
  accepter_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    for (auto& socket : sockets_) {
      if (socket->fd >= 0) (void)::shutdown(socket->fd, SHUT_RDWR);
    }
  }
  stopped_.notify_all();
  (void)::shutdown(listen_fd_, SHUT_RDWR);
  accepter_.join();
  ::close(listen_fd_);
  for (auto& thread : threads_) thread.join();
  sockets_.clear();
  if (tls_context_ != nullptr) SSL_CTX_free(static_cast<SSL_CTX*>(tls_context_));
}

void ScriptedServer::accept_all() {
  for (;;) {
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++connections_;
    auto socket = std::make_shared<Socket>(*this, fd);
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket] { serve(socket); });
  }
}

void ScriptedServer::serve(std::shared_ptr<Socket> socket) {
  if (!socket->handshake()) {
    (void)::shutdown(socket->fd, SHUT_RDWR);
    return;
  }
  std::string buffer;
  while (socket->keep()) {
    std::size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      char bytes[4096];
      const std::size_t n = socket->receive(bytes, sizeof bytes);
      if (n == 0) return;
      buffer.append(bytes, n);
    }
    Request request;
    std::size_t at = buffer.find("\r\n");
    const std::string first = buffer.substr(0, at);
    const auto space = first.find(' ');
    request.method = first.substr(0, space);
    request.target = first.substr(space + 1, first.rfind(' ') - space - 1);
    for (at += 2; at < end + 2;) {
      const std::size_t eol = buffer.find("\r\n", at);
      const std::string line = buffer.substr(at, eol - at);
      const auto colon = line.find(':');
      auto value = line.substr(colon + 1);
      value.erase(0, value.find_first_not_of(' '));
      request.headers.emplace(lower(line.substr(0, colon)), value);
      at = eol + 2;
    }
    buffer.erase(0, end + 4);
    const std::string length = request.header("content-length");
    const std::size_t body = length.empty() ? 0 : std::stoul(length);
    while (buffer.size() < body) {
      char bytes[4096];
      const std::size_t n = socket->receive(bytes, sizeof bytes);
      if (n == 0) return;
      buffer.append(bytes, n);
    }
    request.body = buffer.substr(0, body);
    buffer.erase(0, body);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    socket->set_head_request(request.method == "HEAD");
    handler_(request, *socket);
  }
  const std::lock_guard lock(mutex_);
  if (socket->fd >= 0) (void)::shutdown(socket->fd, SHUT_RDWR);
}

std::string ScriptedServer::url(std::string_view path) const {
  return (tls_context_ != nullptr ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) +
         std::string(path);
}

std::vector<ScriptedServer::Request> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t ScriptedServer::count(std::string_view prefix) const {
  const std::lock_guard lock(mutex_);
  std::size_t n = 0;
  for (const auto& request : requests_) n += request.path().starts_with(prefix) ? 1 : 0;
  return n;
}

std::uint16_t closed_port() {
  std::uint16_t port = 0;
  ::close(listen_on_loopback(port));
  return port;
}

}  // namespace shoal::test
