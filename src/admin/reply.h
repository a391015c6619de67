// Responses of the admin API. Everything it says is small JSON or text that nobody may cache.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/base/clock.h"
#include "shoal/base/error.h"
#include "shoal/http/server.h"
#include "shoal/store/store.h"

namespace shoal::admin {

[[nodiscard]] http::Response text_reply(int status, std::string_view content_type, std::string text);
[[nodiscard]] http::Response json_reply(int status, const nlohmann::json& value);
[[nodiscard]] http::Response error_reply(int status, std::string_view code, std::string_view message);
[[nodiscard]] http::Response error_reply(const base::Error& error);  // status by its kind

// The reply, unless it may be wrong, because the index could not be read.
[[nodiscard]] http::Response if_read(const store::ReadWatch& reads, http::Response reply);

// What a change would be answered by a store that is read-only; nullopt: it can write.
[[nodiscard]] std::optional<base::Error> refuse_read_only(const store::Store& store, std::string_view operation,
                                                          std::string_view subject = {});

[[nodiscard]] std::string time_text(base::WallTime at);  // "2026-11-23T21:00:00Z"; "" for the epoch (never)

}  // namespace shoal::admin
