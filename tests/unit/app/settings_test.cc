#include "shoal/app/settings.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "routes.h"
#include "settings_text.h"
#include "support/temp_dir.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;

// CTest runs the tests in the top folder; __FILE__ may be relative to a build directory.
std::filesystem::path reference_path() { return "conf/shoal.yml"; }

TEST(Settings, NothingConfiguredIsAMirrorOfDockerHubOnLoopback) {
  const auto loaded = load("");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& s = *loaded.settings;
  EXPECT_EQ(s.server.listen.at(0).to_string(), "127.0.0.1:5000");
  EXPECT_EQ(s.admin.listen->to_string(), "127.0.0.1:5001");
  EXPECT_EQ(s.default_upstream, "docker.io");
  ASSERT_EQ(s.upstreams.size(), 1U);
  EXPECT_EQ(s.upstreams[0].name, "docker.io");
  EXPECT_EQ(s.upstreams[0].urls, std::vector<std::string>{"https://registry-1.docker.io"});
  EXPECT_EQ(s.upstreams[0].library_prefix, "library/");
  EXPECT_EQ(s.storage.path, "/var/lib/shoal");
}

// conf/shoal.yml documents every default: reading it must change nothing.
TEST(Settings, TheReferenceFileIsTheDefaultsAndNamesEveryKey) {
  std::ostringstream text;
  text << std::ifstream(reference_path()).rdbuf();
  ASSERT_FALSE(text.str().empty());
  const auto reference = load(text.str());
  ASSERT_TRUE(reference.settings) << all(reference.errors);
  const auto built_in = load("");
  const auto plain = [](const LoadedSettings& loaded) {
    std::string lines;
    for (const auto& setting : loaded.values) lines += setting.key + " = " + setting.value + "\n";
    return lines;
  };
  EXPECT_EQ(plain(reference), plain(built_in));
  for (const auto& setting : built_in.values) {
    const auto key = setting.key.substr(setting.key.rfind('.') + 1);
    EXPECT_NE(text.str().find(key), std::string::npos) << setting.key << " is not in conf/shoal.yml";
  }
}

TEST(Settings, ReachTheModulesOptions) {
  const auto loaded = load(R"(
server:
  listen: ["127.0.0.1:0", "[::1]:0"]
  loops: 3
  limits: {header_bytes: 64KiB, connections: 7, send_timeout: 5s}
storage: {path: /x, max_size: 10GiB, high_watermark: 80, low_watermark: 50, fill_max_age: 2d}
default_upstream: ghcr.io
hosts: {Quay.Mirror.LAN: a.quay.io}
upstreams:
  ghcr.io:
    urls: ["https://a/", "http://b:81/base"]
    tag_ttl: 2m
    retries: 1
    max_blob_size: 1GiB
    proxy: "http://me:secret@proxy:3128"
  "*.quay.io": {max_fetches: 2, library_prefix: true}
mirror: {header_wait: 1s, keep_filling: false}
admin: {listen: ""}
log: {level: debug, format: json, access: "", access_format: json}
)");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& s = *loaded.settings;
  EXPECT_EQ(s.server.listen.at(1).to_string(), "[::1]:0");
  EXPECT_EQ(s.server.loops, 3U);
  EXPECT_EQ(s.server.http.max_header_bytes, 64U << 10);
  EXPECT_EQ(s.server.http.max_connections, 7U);
  EXPECT_EQ(s.server.http.send_timeout, 5s);
  EXPECT_EQ(s.storage.max_size, 10ULL << 30);
  EXPECT_DOUBLE_EQ(s.storage.high_watermark, 0.8);
  EXPECT_EQ(s.storage.fill_max_age, 48h);
  EXPECT_EQ(s.hosts.at(0).first, "quay.mirror.lan");
  const auto& ghcr = s.upstreams.at(0);
  EXPECT_EQ(ghcr.urls, (std::vector<std::string>{"https://a", "http://b:81/base"}));
  EXPECT_EQ(ghcr.tags.ttl, 2min);
  EXPECT_EQ(ghcr.retries, 1U);
  EXPECT_EQ(ghcr.max_blob_bytes, 1ULL << 30);
  EXPECT_EQ(ghcr.proxy, "http://me:secret@proxy:3128");
  EXPECT_EQ(s.upstreams.at(1).library_prefix, "library/");
  EXPECT_FALSE(s.mirror.keep_filling);
  EXPECT_FALSE(s.admin.listen);
  EXPECT_EQ(s.log.level, obs::Level::debug);
  EXPECT_TRUE(s.log.json);
  EXPECT_EQ(s.log.access.file, "");
}

struct Wrong {
  const char* yaml;
  const char* error;  // a part of one of them
};

class SettingsErrors : public ::testing::TestWithParam<Wrong> {};

TEST_P(SettingsErrors, AreToldWithFileAndLine) {
  const auto loaded = load(GetParam().yaml);
  EXPECT_FALSE(loaded.settings);
  EXPECT_NE(all(loaded.errors).find(GetParam().error), std::string::npos) << all(loaded.errors);
}

INSTANTIATE_TEST_SUITE_P(
    Table, SettingsErrors,
    ::testing::Values(
        Wrong{"server:\n  listen: [\"localhost:5000\"]\n", "shoal.yml:2: server.listen: "},
        Wrong{"server:\n  listen: []\n", "shoal.yml:2: server.listen: needs at least one"},
        Wrong{"server:\n  listen: [\"127.0.0.1:5\", \"127.0.0.1:5\"]\n", "is there twice"},
        Wrong{"server:\n  loops: 1000\n", "shoal.yml:2: server.loops: "},
        Wrong{"server:\n  limits:\n    uri_bytes: 64KiB\n", "shoal.yml:3: server.limits.uri_bytes: "},
        Wrong{"server:\n  lissen: x\n", "shoal.yml:2: server.lissen: unknown key"},
        Wrong{"storage:\n  path: \"\"\n", "shoal.yml:2: storage.path: must name a directory"},
        Wrong{"storage:\n  low_watermark: 96\n", "shoal.yml:2: storage.low_watermark: must be below"},
        Wrong{"storage:\n  max_size: lots\n", "shoal.yml:2: storage.max_size: "},
        Wrong{"default_upstream: quay.io\n", "shoal.yml:1: default_upstream: quay.io is not among the upstreams"},
        Wrong{"hosts:\n  a.lan: quay.io\n", "shoal.yml:2: hosts.a.lan: quay.io is not among the upstreams"},
        Wrong{"upstreams:\n", "shoal.yml:1: upstreams: has no value; write {} for a registry"},
        Wrong{"hosted: [\"team/**\", \"{a\"]\n", "shoal.yml:1: hosted: bad pattern '{a': { without }"},
        Wrong{"registry:\n  immutable_tags: [\"[:v\"]\n", "shoal.yml:2: registry.immutable_tags: bad pattern"},
        Wrong{"registry:\n  immutable_tags: [\"team:\"]\n", "registry.immutable_tags: bad pattern '': an empty"},
        Wrong{"registry:\n  quotas: {\"team/**\": lots}\n",
              "shoal.yml:2: registry.quotas.team/**: needs a size such as"},
        Wrong{"registry:\n  quotas: {\"[\": 1GiB}\n", "shoal.yml:2: registry.quotas.[: bad pattern"},
        Wrong{"registry:\n  retention:\n    - {keep: latest_pushed}\n",
              "registry.retention.0.count: goes with latest_pushed and latest_pulled"},
        Wrong{"registry:\n  retention:\n    - {tags: [\"v*\"]}\n", "registry.retention.0.keep: says what stays"},
        Wrong{"registry:\n  gc_interval: 5s\n", "shoal.yml:2: registry.gc_interval: must be 0, or 1m or more"},
        Wrong{"registry:\n  upload_max_age: 10m\n", "shoal.yml:2: registry.upload_max_age: must be 1h to"},
        Wrong{"registry:\n  max_manifest_size: 1\n", "shoal.yml:2: registry.max_manifest_size: "},
        Wrong{"registry:\n  max_uploads: 0\n", "shoal.yml:2: registry.max_uploads: "},
        Wrong{"auth:\n  htpasswd: /no/such/file\n", "shoal.yml:2: auth.htpasswd: open /no/such/file: "},
        Wrong{"auth:\n  htpasswd: /dev/zero\n", "larger than 16 MiB"},
        Wrong{"auth:\n  htpasswd: /etc/passwd\n", "shoal.yml:2: auth.htpasswd: /etc/passwd: line 1: the password is "},
        Wrong{"auth:\n  realm: 'a\"b'\n", "shoal.yml:2: auth.realm: must be"},
        Wrong{"auth:\n  rules:\n    - {users: [ann]}\n", "shoal.yml:3: auth.rules: need auth.htpasswd"},
        Wrong{"auth:\n  rules:\n    - {users: [ann], action: [pull]}\n",
              "shoal.yml:3: auth.rules.0.action: unknown key (did you mean actions?)"},
        Wrong{"auth:\n  rules:\n    - users: [ann]\n      actions: [pull, write]\n",
              "shoal.yml:4: auth.rules.0.actions: \"write\" is none of pull, push, delete"},
        Wrong{"auth:\n  rules:\n    - repositories: [\"a[\"]\n",
              "shoal.yml:3: auth.rules.0.repositories: bad pattern 'a[': [ without ]"},
        Wrong{"auth:\n  rules:\n    - users: []\n", "shoal.yml:3: auth.rules.0.users: names nobody"},
        Wrong{"auth:\n  rules:\n    - ann\n", "shoal.yml:3: auth.rules.0: must be a map"},
        Wrong{"upstreams:\n  Nope: {}\n", "is not a registry's host name"},
        Wrong{"upstreams:\n  \"*\": {}\n", "is not a registry's host name"},
        Wrong{"upstreams:\n  \"*.io\": {}\n", "is not a registry's host name"},
        Wrong{"upstreams:\n  a.io:\n    urls: [\"ftp://a.io\"]\n",
              "shoal.yml:3: upstreams.a.io.urls: a URL must begin"},
        Wrong{"upstreams:\n  a.io:\n    urls: [\"https://u:p@a.io\"]\n", "must not hold credentials"},
        Wrong{"upstreams:\n  a.io:\n    urls: [\"https://a.io?x\"]\n", "no query"},
        Wrong{"upstreams:\n  a.io:\n    urls: [\"https://a.io:99999\"]\n", "port"},
        Wrong{"upstreams:\n  a.io:\n    urls: [\"https://\"]\n", "no host"},
        Wrong{"upstreams:\n  \"*.a.io\":\n    urls: [\"https://a.io\"]\n", "a pattern has none"},
        Wrong{"upstreams:\n  a.io:\n    proxy: \"proxy:3128\"\n", "shoal.yml:3: upstreams.a.io.proxy: must begin"},
        Wrong{"upstreams:\n  a.io:\n    username: me\n", "shoal.yml:3: upstreams.a.io.username: needs password_file"},
        Wrong{"upstreams:\n  a.io:\n    password_env: NO_SUCH_VARIABLE_HERE\n", "a password needs a username"},
        Wrong{"upstreams:\n  a.io:\n    username: me\n    password_env: NO_SUCH_VARIABLE_HERE\n",
              "shoal.yml:4: upstreams.a.io.password_env: the environment variable NO_SUCH_VARIABLE_HERE is not set"},
        Wrong{"upstreams:\n  a.io:\n    username: me\n    password_file: /no/such/file\n",
              "shoal.yml:4: upstreams.a.io.password_file: "},
        Wrong{"upstreams:\n  a.io:\n    token_file: /no/such/file\n", "shoal.yml:3: upstreams.a.io.token_file: "},
        Wrong{"upstreams:\n  a.io:\n    username: me\n    password_file: /x\n    password_env: Y\n", "one is enough"},
        Wrong{"upstreams:\n  a.io:\n    ca_file: /no/such/file\n", "shoal.yml:3: upstreams.a.io.ca_file: "},
        Wrong{"upstreams:\n  a.io:\n    client_key: /etc/hostname\n", "needs client_cert"},
        Wrong{"upstreams:\n  a.io:\n    tag_ttl: 5\n", "shoal.yml:3: upstreams.a.io.tag_ttl: "},
        Wrong{"admin:\n  listen: \"0.0.0.0:5001\"\n", "shoal.yml:2: admin.listen: the admin API has no TLS"},
        Wrong{"admin:\n  listen: \"127.0.0.1:5000\"\n", "is the address of server.listen"},
        Wrong{"log:\n  level: loud\n", "shoal.yml:2: log.level: "}));

TEST(Settings, AllErrorsComeAtOnce) {
  const auto loaded = load("server:\n  loops: x\nstorage:\n  pth: /x\nlog:\n  level: loud\n");
  EXPECT_EQ(loaded.errors.size(), 3U) << all(loaded.errors);
}

TEST(Settings, AdminMayListenAnywhereWhenTold) {
  EXPECT_TRUE(load("admin: {listen: \"0.0.0.0:5001\", allow_remote: true}").settings);
}

TEST(Settings, WithoutDockerHubThereIsNoDefaultUpstream) {
  const auto loaded = load("upstreams: {ghcr.io: {}}");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  EXPECT_EQ(loaded.settings->default_upstream, "");
}

TEST(Settings, WithoutUpstreamsTheNodeHostsEverything) {
  const auto loaded = load("upstreams: {}");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  EXPECT_TRUE(loaded.settings->upstreams.empty());
  EXPECT_EQ(loaded.settings->default_upstream, "");
  EXPECT_TRUE(make_routes(*loaded.settings)->hosts_everything);
  const auto some = load("upstreams: {}\nhosted: [\"team/**\"]");
  ASSERT_TRUE(some.settings) << all(some.errors);
  EXPECT_FALSE(make_routes(*some.settings)->hosts_everything);
  EXPECT_EQ(make_routes(*some.settings)->hosted, std::vector<std::string>{"team/**"});
  EXPECT_FALSE(make_routes(*load("").settings)->hosts_anything());
}

TEST(Settings, HostingEveryNameBesideAMirrorIsWarnedOf) {
  const auto loaded = load("hosted: [\"**\"]");
  ASSERT_TRUE(loaded.settings);
  EXPECT_NE(all(loaded.warnings).find("docker.io is reached by its own name only"), std::string::npos);
  EXPECT_EQ(load("hosted: [\"team/**\"]").warnings, std::vector<std::string>{});
}

TEST(Settings, RegistryReachesTheModulesOptions) {
  const auto loaded = load(R"(
hosted: ["team/**", "{a,b}/x"]
registry:
  max_manifest_size: 1MiB
  max_blob_size: 10GiB
  delete: false
  anonymous_mount: true
  immutable_tags: ["team/**:v*", "prod/**"]
  quotas: {"team/**": 50GiB, "**": 1TiB}
  upload_max_age: 2d
  max_uploads: 5
  gc_interval: 0
  gc_grace: 30m
  gc_untagged: true
  retention:
    - {repositories: ["team/**"], keep: latest_pushed, count: 5}
    - {keep: pulled_within, within: 30d, except_tags: ["v*"]}
)");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& s = *loaded.settings;
  EXPECT_EQ(s.hosted, (std::vector<std::string>{"team/**", "{a,b}/x"}));
  EXPECT_EQ(s.registry.hosted.max_manifest_bytes, 1U << 20);
  EXPECT_EQ(s.registry.hosted.max_blob_bytes, 10ULL << 30);
  EXPECT_FALSE(s.registry.hosted.remove);
  EXPECT_TRUE(s.registry.hosted.anonymous_mount);
  ASSERT_EQ(s.registry.hosted.fixed_tags.size(), 2U);
  EXPECT_EQ(s.registry.hosted.fixed_tags[0].repositories, "team/**");
  EXPECT_EQ(s.registry.hosted.fixed_tags[0].tags, "v*");
  EXPECT_EQ(s.registry.hosted.fixed_tags[1].repositories, "prod/**");
  EXPECT_EQ(s.registry.hosted.fixed_tags[1].tags, "*");
  ASSERT_EQ(s.registry.hosted.quotas.size(), 2U);
  EXPECT_EQ(s.registry.hosted.quotas[0].repositories, "team/**");
  EXPECT_EQ(s.registry.hosted.quotas[0].bytes, 50ULL << 30);
  EXPECT_EQ(s.storage.upload_max_age, 48h);
  EXPECT_EQ(s.storage.max_uploads, 5U);
  EXPECT_EQ(s.registry.gc_interval, 0s);
  EXPECT_EQ(s.registry.gc.grace, 30min);
  EXPECT_TRUE(s.registry.gc.untagged);
  ASSERT_EQ(s.registry.retention.size(), 2U);
  EXPECT_EQ(s.registry.retention[0].keep, registry::RetentionRule::Keep::latest_pushed);
  EXPECT_EQ(s.registry.retention[0].count, 5U);
  EXPECT_EQ(s.registry.retention[1].within, 24h * 30);
  EXPECT_EQ(s.registry.retention[1].except_tags, std::vector<std::string>{"v*"});
  EXPECT_NE(all(loaded.warnings).find("registry.gc_grace"), std::string::npos);
}

struct AuthFile {
  test::TempDir dir;
  std::string path = dir.file("users");
  explicit AuthFile(const std::string& users = "ann bob") {
    std::ofstream out(path);
    std::istringstream names(users);
    for (std::string name; names >> name;) out << name << ":" << *auth::hash_password("secret", 4) << "\n";
    out.close();
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
};

TEST(Settings, WithoutHtpasswdNobodyIsAsked) {
  const auto loaded = load("");
  ASSERT_TRUE(loaded.settings);
  EXPECT_FALSE(loaded.settings->auth.access.policy.enabled);
  EXPECT_FALSE(loaded.settings->auth.users);
}

TEST(Settings, WithHtpasswdAndNoRulesWhoIsLoggedInMayDoEverythingAndNobodyElseAnything) {
  const AuthFile file;
  const auto loaded = load("auth: {htpasswd: " + file.path + "}");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  EXPECT_EQ(loaded.warnings, std::vector<std::string>{});
  const auto& auth = loaded.settings->auth;
  ASSERT_TRUE(auth.users);
  EXPECT_EQ(auth.users->size(), 2U);
  for (const auto action : {auth::Action::pull, auth::Action::push, auth::Action::remove}) {
    EXPECT_EQ(decide(auth.access.policy, {"ann"}, "docker.io/library/nginx", action), auth::Verdict::allow);
    EXPECT_EQ(decide(auth.access.policy, {}, "docker.io/library/nginx", action), auth::Verdict::log_in);
  }
}

TEST(Settings, RuleForEveryoneGivesOnlyPullsUnlessToldOtherwise) {
  const AuthFile file;
  const auto loaded = load("auth:\n  htpasswd: " + file.path + R"(
  rules:
    - {repositories: ["open/**"], users: [ann, anonymous]}
    - {repositories: ["drop/**"], users: [anonymous], actions: [pull, push]}
    - {repositories: ["team/**"], users: [ann]}
)");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& policy = loaded.settings->auth.access.policy;
  EXPECT_EQ(decide(policy, {}, "open/x", auth::Action::pull), auth::Verdict::allow);
  EXPECT_NE(decide(policy, {}, "open/x", auth::Action::push), auth::Verdict::allow);
  EXPECT_NE(decide(policy, {}, "open/x", auth::Action::remove), auth::Verdict::allow);
  EXPECT_NE(decide(policy, {"ann"}, "open/x", auth::Action::push), auth::Verdict::allow);
  EXPECT_EQ(decide(policy, {}, "drop/x", auth::Action::push), auth::Verdict::allow);
  EXPECT_EQ(decide(policy, {"ann"}, "team/x", auth::Action::remove), auth::Verdict::allow);
}

TEST(Settings, MountsWithoutASourceAreRefusedWhereThereAreRights) {
  const AuthFile file;
  const std::string users = "\nauth: {htpasswd: " + file.path + "}";
  const auto both = load("registry: {anonymous_mount: true}" + users);
  EXPECT_FALSE(both.settings);
  EXPECT_NE(all(both.errors).find("registry.anonymous_mount: cannot be combined with auth"), std::string::npos)
      << all(both.errors);
  EXPECT_TRUE(load("registry: {anonymous_mount: true}").settings);
  EXPECT_TRUE(load("registry: {anonymous_mount: false}" + users).settings);
}

TEST(Settings, RulesReachThePolicy) {
  const AuthFile file;
  const auto loaded = load("auth:\n  htpasswd: " + file.path + R"(
  realm: Team registry
  allow_plaintext: true
  rules:
    - {repositories: ["team/**"], users: anonymous, actions: [pull]}
    - {users: [ann, eve], actions: [pull, push]}
)");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& access = loaded.settings->auth.access;
  EXPECT_EQ(access.realm, "Team registry");
  EXPECT_TRUE(access.allow_plaintext);
  EXPECT_EQ(decide(access.policy, {}, "team/app", auth::Action::pull), auth::Verdict::allow);
  EXPECT_EQ(decide(access.policy, {}, "team/app", auth::Action::push), auth::Verdict::log_in);
  EXPECT_EQ(decide(access.policy, {"ann"}, "x", auth::Action::push), auth::Verdict::allow);
  EXPECT_EQ(decide(access.policy, {"ann"}, "x", auth::Action::remove), auth::Verdict::deny);
  EXPECT_EQ(decide(access.policy, {"bob"}, "x", auth::Action::pull), auth::Verdict::deny);
  EXPECT_NE(all(loaded.warnings).find("shoal.yml:7: auth.rules.1.users: eve is not in " + file.path), std::string::npos)
      << all(loaded.warnings);
}

TEST(Settings, AnHtpasswdFileThatEverybodyCanReadIsWarnedOf) {
  const AuthFile file;
  std::filesystem::permissions(file.path, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  const auto loaded = load("auth: {htpasswd: " + file.path + "}");
  EXPECT_NE(all(loaded.warnings).find("everyone on this machine can read"), std::string::npos);
}

TEST(Settings, AnAddressWhereLoginsAreRefusedIsWarnedOf) {
  const AuthFile file;
  const auto warned = [](const std::string& yaml) {
    return all(load(yaml).warnings).find("passwords are refused there") != std::string::npos;
  };
  const std::string auth = "auth: {htpasswd: " + file.path;
  EXPECT_TRUE(warned(auth + "}\nserver: {listen: [\"0.0.0.0:5000\"]}"));
  EXPECT_TRUE(warned(auth + "}\nserver: {plain_listen: [\"10.0.0.1:5002\"]}"));
  EXPECT_FALSE(warned(auth + ", allow_plaintext: true}\nserver: {listen: [\"0.0.0.0:5000\"]}"));
  EXPECT_FALSE(warned(auth + "}\nserver: {listen: [\"127.0.0.1:5000\", \"[::1]:5000\"]}"));
  EXPECT_FALSE(warned("server: {listen: [\"0.0.0.0:5000\"]}"));
}

TEST(Settings, AnHtpasswdFileWithoutUsersIsWarnedOf) {
  const AuthFile file("");
  EXPECT_NE(all(load("auth: {htpasswd: " + file.path + "}").warnings).find("has no users"), std::string::npos);
}

TEST(Settings, AnEmptyVariableDoesNotSwitchLoginsOff) {
  const AuthFile file;
  SettingsSource source;
  source.environment = {{"SHOAL_AUTH_HTPASSWD", ""}};
  const auto loaded = load_settings(source, "auth: {htpasswd: " + file.path + "}");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  EXPECT_TRUE(loaded.settings->auth.access.policy.enabled);
  EXPECT_NE(all(loaded.warnings).find("SHOAL_AUTH_HTPASSWD: is empty and counts as not set"), std::string::npos)
      << all(loaded.warnings);
  source.overrides = {"auth.htpasswd="};
  const auto off = load_settings(source, "auth: {htpasswd: " + file.path + "}");
  ASSERT_TRUE(off.settings) << all(off.errors);
  EXPECT_FALSE(off.settings->auth.access.policy.enabled);
}

TEST(Settings, LoginLimitsAreReadAndBounded) {
  const auto logins = load(
                          "auth: {logins: {remember: 1m, remember_failures: 0, waiting: 9, waiting_per_address: 3, "
                          "failures_per_minute: 0}}")
                          .settings->auth.logins;
  EXPECT_EQ(logins.remember.count(), 60);
  EXPECT_EQ(logins.remember_failures.count(), 0);
  EXPECT_EQ(logins.max_waiting, 9U);
  EXPECT_EQ(logins.max_waiting_per_source, 3U);
  EXPECT_EQ(logins.max_failures_per_minute, 0U);
  for (const char* wrong : {"waiting: 0", "waiting_per_address: 0", "failures_per_minute: -1", "remember: 2d"}) {
    EXPECT_FALSE(load("auth: {logins: {" + std::string(wrong) + "}}").settings) << wrong;
  }
}

TEST(Settings, TheHtpasswdFileIsLeftAloneWhenSecretsAreNotWanted) {
  SettingsSource source;
  source.environment = {};
  source.read_secrets = false;
  const auto loaded = load_settings(source, "auth: {htpasswd: /no/such/file}");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  EXPECT_TRUE(loaded.settings->auth.access.policy.enabled);
  EXPECT_FALSE(loaded.settings->auth.users);
}

TEST(Settings, SecretsAreReadAndNeverShown) {
  const test::TempDir dir;
  std::ofstream(dir.file("pass")) << "hunter2\n";
  const std::string yaml =
      "upstreams:\n  a.io:\n    urls: [\"https://a.io\"]\n    username: me\n    password_file: " + dir.file("pass") +
      "\n    proxy: \"http://u:hunter3@p:1\"\n" + "  b.io: {username: you, password_command: \"echo hunter4\"}\n";
  const auto loaded = load(yaml);
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  EXPECT_EQ(loaded.settings->upstreams[0].credentials.password, "hunter2");
  EXPECT_EQ(loaded.settings->upstreams[1].credentials.password, "hunter4");
  const auto text = settings_text(loaded.values);
  EXPECT_EQ(text.find("hunter"), std::string::npos) << text;
  EXPECT_NE(text.find("***"), std::string::npos);
}

TEST(Settings, SecretsStayWhereTheyAreWhenNotWanted) {
  SettingsSource source;
  source.environment = {};
  source.read_secrets = false;
  const auto loaded = load_settings(source, "upstreams: {a.io: {username: me, password_file: /no/such/file}}");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  EXPECT_EQ(loaded.settings->upstreams[0].credentials.password, "");
}

TEST(Settings, TextCanBeLoadedAgainAndMeansTheSame) {
  const AuthFile file;
  const auto first = load(
      "upstreams: {docker.io: {auth_realms: [\"a.b\", \"c.d\"]}, \"localhost:5000\": {urls: [\"http://[::1]:5000\"]}}\n"
      "p2p: {windows: [\"sat,sun 00:00-24:00 upload=1MiB\", \"daily 08:00-09:00 download=1MiB\"]}\n"
      "hosts: {a.lan: docker.io}\nadmin: {hosts: [x.lan]}\nhosted: [\"t/**\", \"{a,b}/*\"]\n"
      "registry: {immutable_tags: [\"t/**:v*\"], quotas: {\"a.b/**\": 1GiB, \"**\": 2GiB}}\n"
      "auth: {htpasswd: " +
          file.path + ", rules: [{users: [ann], actions: [pull, push]}, {repositories: [\"x/{y,z}\", \"**\"]}]}\n",
      {"storage.path=/some where"});
  ASSERT_TRUE(first.settings) << all(first.errors);
  const auto text = settings_text(first.values);
  EXPECT_NE(text.find("  # --set"), std::string::npos) << text;
  const auto again = load(text);
  ASSERT_TRUE(again.settings) << text << all(again.errors);
  ASSERT_EQ(again.values.size(), first.values.size());
  for (std::size_t i = 0; i < first.values.size(); ++i) {
    EXPECT_EQ(again.values[i].key, first.values[i].key);
    EXPECT_EQ(again.values[i].value, first.values[i].value) << first.values[i].key;
  }
}

TEST(FindUpstream, ExactBeatsThePatternAndTheLongerPatternTheShorter) {
  const auto loaded =
      load("upstreams: {\"*.quay.io\": {}, \"*.b.quay.io\": {}, a.b.quay.io: {}}\ndefault_upstream: \"\"");
  ASSERT_TRUE(loaded.settings) << all(loaded.errors);
  const auto& upstreams = loaded.settings->upstreams;
  EXPECT_EQ(find_upstream(upstreams, "a.b.quay.io")->name, "a.b.quay.io");
  EXPECT_EQ(find_upstream(upstreams, "c.b.quay.io")->name, "*.b.quay.io");
  EXPECT_EQ(find_upstream(upstreams, "x.quay.io")->name, "*.quay.io");
  EXPECT_EQ(find_upstream(upstreams, "quay.io"), nullptr);
  EXPECT_EQ(find_upstream(upstreams, "evil.com"), nullptr);
  const auto instance = instance_of(*find_upstream(upstreams, "x.quay.io"), "x.quay.io");
  EXPECT_EQ(instance.name, "x.quay.io");
  EXPECT_EQ(instance.urls, std::vector<std::string>{"https://x.quay.io"});
}

}  // namespace
}  // namespace shoal::app
