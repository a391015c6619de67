// ScriptedServer: an HTTP server on 127.0.0.1, port 0, that does exactly what a test says, wrong things included. One
// blocking thread per connection; the handler writes raw bytes. With TlsIdentity it speaks TLS.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace shoal::test {

// A CA and a server certificate for 127.0.0.1 and localhost, made by the openssl command in `directory`.
struct TlsIdentity {
  std::string ca_file, cert_file, key_file;
  [[nodiscard]] static TlsIdentity make(const std::string& directory,
                                        const std::string& san = "IP:127.0.0.1,DNS:localhost");
};

class ScriptedServer {
 public:
  struct Request {
    std::string method, target, body;
    std::multimap<std::string, std::string> headers;  // lower-case names
    [[nodiscard]] std::string header(const std::string& name) const;
    [[nodiscard]] std::string path() const;   // without query
    [[nodiscard]] std::string query() const;  // behind '?'
  };

  class Connection {
   public:
    virtual ~Connection() = default;
    virtual bool send(std::string_view bytes) = 0;  // false: the client is gone
    virtual std::size_t receive(char* to, std::size_t size) = 0;
    // "HTTP/1.1 <status> X", Content-Length and `headers` ("Name: value\r\n"...), body (not for HEAD).
    void reply(int status, std::string_view body, std::string_view headers = {});
    void close() { keep_ = false; }
    virtual void reset() = 0;  // RST
    // Waits without sleeping past the server's end. False: the server stops.
    virtual bool idle(std::chrono::milliseconds time) = 0;
    virtual void wait_for_client_to_leave() = 0;
    [[nodiscard]] bool keep() const { return keep_; }
    void set_head_request(bool head) { head_request_ = head; }

   private:
    bool keep_ = true;
    bool head_request_ = false;
  };
  using Handler = std::function<void(const Request&, Connection&)>;

  explicit ScriptedServer(Handler handler, const TlsIdentity* tls = nullptr);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view path = {}) const;  // "http://127.0.0.1:port/path"
  [[nodiscard]] std::vector<Request> requests() const;
  [[nodiscard]] std::size_t count(std::string_view path_prefix) const;  // requests whose path begins so
  [[nodiscard]] std::size_t connections() const { return connections_; }

 private:
  struct Socket;
  void accept_all();
  void serve(std::shared_ptr<Socket> socket);

  Handler handler_;
  void* tls_context_ = nullptr;  // SSL_CTX
  int listen_fd_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::vector<Request> requests_;
  std::vector<std::shared_ptr<Socket>> sockets_;
  std::vector<std::thread> threads_;
  std::thread accepter_;
  std::atomic<std::size_t> connections_{0};
};

// A TCP port on 127.0.0.1 that nothing listens on.
[[nodiscard]] std::uint16_t closed_port();

}  // namespace shoal::test
