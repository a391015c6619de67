#include "pins.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "contents.h"
#include "reply.h"
#include "shoal/base/format.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

constexpr std::string_view kState = "pin/";  // reaches disk, as do the fields of its JSON
constexpr std::size_t kMaxMissing = 100;     // told of one pin
constexpr std::size_t kMaxObjects = 1000;    // the same, of a dry run
constexpr std::size_t kMaxNameBytes = 512;
constexpr std::size_t kMaxPins = 10'000;  // each is looked into when they are listed

std::string state_key(const base::Digest& digest) { return std::string(kState) + digest.to_string(); }

base::Result<void> check_name(const std::string& name) {
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (printable && name.size() <= kMaxNameBytes) return {};
  return base::Error(base::ErrorKind::invalid, "name is no image name");
}

json contents_json(const Contents& contents) {
  return {{"contents", contents.held.size()},
          {"manifests", contents.manifests()},
          {"blobs", contents.held.size() - contents.manifests()},
          {"bytes", contents.bytes()},
          {"complete", contents.missing.empty()},
          {"missing_objects", contents.missing.size()},
          {"missing_bytes", contents.missing_bytes()},
          {"missing", objects_json(contents.missing, kMaxMissing)}};
}

// Counted by walking them: only for a new one, and there are not many.
bool too_many(const store::Store& store) { return store.list_states(kState, "", kMaxPins).size() == kMaxPins; }

}  // namespace

void set_pin(store::Store& store, base::Executor& on, base::WallTime now, const PinRequest& request,
             PoolJobs::Answer answer) {
  const auto digest = base::Digest::parse(request.digest);
  if (!digest) return answer(error_reply(digest.error()));
  if (const auto named = check_name(request.name); !named) return answer(error_reply(named.error()));
  const store::ReadWatch reads(store);
  const auto contents = contents_of(store, *digest);
  if (contents.too_much) {
    return answer(error_reply(400, "BAD_REQUEST", digest->to_string() + " leads to too much to be pinned at once"));
  }
  const bool keeps = request.pin == Pin::keep;
  const bool known = store.find_state(state_key(*digest)).has_value();
  const bool no_room = keeps && !known && too_many(store);
  if (reads.failed()) return answer(error_reply(store::unreadable_index()));
  if (contents.held.empty() && (keeps || !known)) {
    return answer(error_reply(404, "BLOB_UNKNOWN", digest->to_string() + " is not held here"));
  }
  if (no_room) {
    return answer(error_reply(507, "NO_ROOM", base::format("there are {} pins already", kMaxPins)));
  }
  json reply = contents_json(contents);
  reply[keeps ? "pinned" : "unpinned"] = digest->to_string();
  reply["dry_run"] = request.dry_run;
  if (request.dry_run) {
    if (const auto refusal = refuse_read_only(store, "pin")) return answer(error_reply(*refusal));
    reply["objects"] = objects_json(contents.held, kMaxObjects);
    return answer(json_reply(200, reply));
  }
  std::vector<store::Write> writes;
  for (const auto& [content, object] : contents.held) writes.emplace_back(store::PinBlob{content, keeps});
  const json state{{"name", request.name}, {"since", time_text(now)}};
  writes.emplace_back(store::PutState{state_key(*digest), keeps ? state.dump() : std::string()});
  store.commit(std::move(writes), on,
               [reply = std::move(reply), answer = std::move(answer)](base::Result<void> result) mutable {
                 answer(result ? json_reply(200, reply) : error_reply(result.error().at("pin")));
               });
}

http::Response list_pins(store::Store& store, const Page& page) {
  json pins = json::array();
  const auto states = store.list_states(kState, page.last.empty() ? "" : std::string(kState) + page.last, page.limit);
  std::string last;
  for (const auto& [key, value] : states) {
    last = key.substr(kState.size());
    const auto digest = base::Digest::parse(last);
    if (!digest) continue;
    const auto state = json::parse(value, nullptr, /*allow_exceptions=*/false);
    const auto contents = contents_of(store, *digest);
    json pin = contents_json(contents);
    pin["digest"] = last;
    pin["loose"] = contents.loose();  // came after the pin, or another image's unpinning took theirs
    pin["complete"] = !contents.held.empty() && contents.missing.empty() && contents.loose() == 0;
    for (const char* field : {"name", "since"}) {
      pin[field] = state.is_object() && state.contains(field) ? state[field] : json("");
    }
    pins.push_back(std::move(pin));
  }
  const auto next = states.size() == page.limit ? last : std::string();
  return json_reply(200, {{"pins", pins}, {"next", next}});
}

}  // namespace shoal::admin
