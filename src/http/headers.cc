#include "shoal/http/server.h"
#include "text.h"

namespace shoal::http {

std::string_view Headers::get(std::string_view name) const {
  for (const auto& header : list_) {
    if (same_token(header.name, name)) return header.value;
  }
  return {};
}

bool Headers::has(std::string_view name) const { return count(name) > 0; }

std::size_t Headers::count(std::string_view name) const {
  std::size_t n = 0;
  for (const auto& header : list_) n += same_token(header.name, name) ? 1 : 0;
  return n;
}

std::string_view to_string(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::patch: return "PATCH";
    case Method::del: return "DELETE";
    case Method::options: return "OPTIONS";
    case Method::other: break;
  }
  return "OTHER";
}

void Responder::send(Response response) {
  if (auto target = target_.lock()) {
    target->respond(exchange_, std::move(response));
  } else if (response.on_end) {
    response.on_end(ExchangeEnd{});  // the client left first
  }
}

Response Handler::refuse(int status, std::string_view reason) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.text = std::string(reason) + "\n";
  return response;
}

}  // namespace shoal::http
