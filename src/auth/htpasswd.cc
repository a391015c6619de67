#include <crypt.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <memory>

#include "shoal/auth/auth.h"
#include "shoal/base/format.h"

namespace shoal::auth {
namespace {

constexpr std::size_t kMaxUsers = 100'000;
constexpr std::size_t kMaxUserBytes = 255;
constexpr std::size_t kHashBytes = 60;  // "$2y$10$", 22 of salt, 31 of hash
// Each step doubles the time; 16 is some seconds. Above, one login could keep a thread for minutes.
constexpr int kMinCost = 4, kMaxCost = 16;

bool is_salt_byte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '/';
}

int cost_of(std::string_view hash) {
  if (hash.size() < 7 || hash[4] < '0' || hash[4] > '9' || hash[5] < '0' || hash[5] > '9') return -1;
  return (hash[4] - '0') * 10 + (hash[5] - '0');
}

// "" or what is wrong. Never repeats any of it.
std::string fault_of(std::string_view user, std::string_view hash) {
  if (user.empty()) return "there is no user name";
  if (user.size() > kMaxUserBytes) return "the user name is too long";
  if (user == "*" || user == "anonymous") return "that user name has a meaning of its own in auth.rules";
  if (!hash.starts_with("$2a$") && !hash.starts_with("$2b$") && !hash.starts_with("$2y$")) {
    return "the password is not hashed with bcrypt ($2y$...): use `shoal hash-password`, or `htpasswd -B`";
  }
  const int cost = cost_of(hash);
  if (hash.size() != kHashBytes || cost < 0 || hash[6] != '$' ||
      !std::all_of(hash.begin() + 7, hash.end(), is_salt_byte)) {
    return "the bcrypt hash is damaged";
  }
  if (cost < kMinCost || cost > kMaxCost) {
    return base::format("bcrypt cost {}: must be {} to {}", cost, kMinCost, kMaxCost);
  }
  return {};
}

bool same_bytes(std::string_view a, std::string_view b) {
  unsigned different = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    different |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return different == 0;
}

}  // namespace

base::Result<Htpasswd> Htpasswd::parse(std::string_view text) {
  Htpasswd users;
  std::size_t number = 0;
  const auto bad = [&number](const std::string& what) {
    return base::Error(base::ErrorKind::invalid, base::format("line {}: {}", number, what));
  };
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return bad("there is no colon: a line is user:hash");
    const auto user = line.substr(0, colon);
    auto hash = line.substr(colon + 1);
    if (const auto fault = fault_of(user, hash); !fault.empty()) return bad(fault);
    if (users.entries_.size() == kMaxUsers) return bad(base::format("more than {} users", kMaxUsers));
    users.entries_.push_back({std::string(user), std::string(hash)});
  }
  std::sort(users.entries_.begin(), users.entries_.end(), [](const auto& a, const auto& b) { return a.user < b.user; });
  const auto twice = std::adjacent_find(users.entries_.begin(), users.entries_.end(),
                                        [](const auto& a, const auto& b) { return a.user == b.user; });
  if (twice != users.entries_.end()) {
    return base::Error(base::ErrorKind::invalid, base::format("user {} is there twice", twice->user));
  }
  return users;
}

bool Htpasswd::has(std::string_view user) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), user,
                                   [](const Entry& entry, std::string_view name) { return entry.user < name; });
  return at != entries_.end() && at->user == user;
}

bool Htpasswd::verify(const std::string& user, const std::string& password) const {
  if (password.find('\0') != std::string::npos) return false;  // crypt would see only what is before it
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), user,
                                   [](const Entry& entry, const std::string& name) { return entry.user < name; });
  const bool known = at != entries_.end() && at->user == user;
  // For an unknown user the work is that of some entry, which then does not count.
  static const std::string kNobody = "$2b$10$" + std::string(22, '.') + std::string(31, '.');
  const std::string& hash = known ? at->hash : entries_.empty() ? kNobody : entries_.front().hash;
  const auto data = std::make_unique<crypt_data>();
  const char* made = crypt_r(password.c_str(), hash.c_str(), data.get());
  const bool same = made != nullptr && made[0] != '*' && same_bytes(made, hash);
  explicit_bzero(data.get(), sizeof *data);  // it holds traces of the password
  return known && same;
}

std::size_t Htpasswd::size() const { return entries_.size(); }

base::Result<std::string> hash_password(const std::string& password, int cost) {
  const auto bad = [](const std::string& what) { return base::Error(base::ErrorKind::invalid, what); };
  if (password.empty()) return bad("the password is empty");
  if (password.find('\0') != std::string::npos) return bad("the password holds a NUL byte");
  if (password.size() > 72) return bad("the password is longer than 72 bytes, and bcrypt reads no further");
  if (cost < kMinCost || cost > kMaxCost) return bad(base::format("the cost must be {} to {}", kMinCost, kMaxCost));
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> salt{};
  if (crypt_gensalt_rn("$2y$", static_cast<unsigned long>(cost), nullptr, 0, salt.data(), salt.size()) == nullptr) {
    return base::Error(base::ErrorKind::gone, "no random salt to be had");
  }
  const auto data = std::make_unique<crypt_data>();
  const char* made = crypt_r(password.c_str(), salt.data(), data.get());
  std::string hash = made != nullptr ? made : "*";
  explicit_bzero(data.get(), sizeof *data);
  if (hash.size() != kHashBytes) return base::Error(base::ErrorKind::bug, "bcrypt gave no hash");
  return hash;
}

}  // namespace shoal::auth
