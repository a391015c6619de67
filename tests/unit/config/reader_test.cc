#include "shoal/config/reader.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.h"

namespace shoal::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Reader read(std::string_view text, Sources more = {}) {
  if (more.file.empty()) more.file = "x.yml";
  return Reader(std::move(more), text);
}

std::vector<std::string> texts(const std::vector<Problem>& problems) {
  std::vector<std::string> out;
  for (const auto& problem : problems) out.push_back(to_string(problem));
  return out;
}
using Texts = std::vector<std::string>;

TEST(Reader, GivesTypedValues) {
  Reader reader = read(R"(
storage:
  path: /srv/shoal
  max_size: 10GiB
  keep: true
  threads: -3
  wait: 1h30m
  mark: 95%
  addresses: ["a:1", b]
  level: warn
  empty: ""
)");
  Section storage = reader.root().section("storage");
  EXPECT_EQ(storage.string("path", ""), "/srv/shoal");
  EXPECT_EQ(storage.size("max_size", 0), 10ULL << 30);
  EXPECT_TRUE(storage.boolean("keep", false));
  EXPECT_EQ(storage.integer("threads", 0, {-10, 10}), -3);
  EXPECT_EQ(storage.duration("wait", seconds(1)), seconds(5400));
  EXPECT_EQ(storage.percent("mark", 1), 95u);
  EXPECT_EQ(storage.list("addresses", {}), (Texts{"a:1", "b"}));
  EXPECT_EQ(storage.choice<int>("level", 1, {{"info", 1}, {"warn", 2}}), 2);
  EXPECT_EQ(storage.string("empty", "x"), "");
  EXPECT_EQ(texts(reader.finish().errors), Texts{});
}

TEST(Reader, AbsentKeysGiveTheirDefaults) {
  Reader reader = read("");
  Section storage = reader.root().section("storage");
  EXPECT_EQ(storage.string("path", "p"), "p");
  EXPECT_EQ(storage.size("max_size", 7), 7u);
  EXPECT_TRUE(storage.boolean("keep", true));
  EXPECT_EQ(storage.duration("wait", milliseconds(5)), milliseconds(5));
  EXPECT_EQ(storage.list("addresses", {"a"}), Texts{"a"});
  EXPECT_EQ(storage.choice<int>("level", 2, {{"info", 1}, {"warn", 2}}), 2);
  EXPECT_FALSE(storage.has("path"));
  EXPECT_EQ(storage.where("path"), "default");
  EXPECT_TRUE(storage.sections().empty());
  EXPECT_TRUE(reader.finish().ok());
}

TEST(Reader, GivesAListOfMaps) {
  Reader reader = read("rules:\n  - {user: ann, can: [a, b]}\n  - user: bob\n");
  auto rules = reader.root().items("rules");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].path(), "rules.0");
  EXPECT_EQ(rules[0].string("user", ""), "ann");
  EXPECT_EQ(rules[0].list("can", {}), (Texts{"a", "b"}));
  EXPECT_EQ(rules[1].string("user", ""), "bob");
  EXPECT_EQ(rules[1].list("can", {"c"}), Texts{"c"});
  EXPECT_EQ(rules[1].where("user"), "x.yml:3");
  EXPECT_TRUE(reader.finish().ok());
}

TEST(Reader, AListOfMapsMayBeAMapWithFreeNames) {
  Reader reader = read("rules: {ci: {user: ann}, 1: {user: bob}}");
  auto rules = reader.root().items("rules");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].path(), "rules.ci");
  EXPECT_EQ(rules[1].string("user", ""), "bob");
  EXPECT_EQ(rules[0].string("user", ""), "ann");
  EXPECT_TRUE(reader.finish().ok());
}

TEST(Reader, AListOfMapsSaysWhatIsWrongInIt) {
  Reader reader = read("rules:\n  - {user: ann, usr: x}\n  - bob\nnone: x\nvoid:\n",
                       {.file = "", .environment = {}, .sets = {"flag=[{user: eve}]"}});
  auto root = reader.root();
  for (auto& rule : root.items("rules")) (void)rule.string("user", "");
  EXPECT_TRUE(root.items("none").empty());
  EXPECT_TRUE(root.items("void").empty());
  EXPECT_TRUE(root.items("absent").empty());
  ASSERT_EQ(root.items("flag").size(), 1U);
  EXPECT_EQ(root.items("flag")[0].string("user", ""), "eve");
  EXPECT_EQ(texts(reader.finish().errors),
            (Texts{"x.yml:2: rules.0.usr: unknown key (did you mean user?)",
                   "x.yml:3: rules.1: must be a map of keys to values", "x.yml:4: none: must be a list of maps",
                   "x.yml:5: void: has no value; write [] for none"}));
}

TEST(Reader, TellsNothingFromAnEmptyMap) {
  Reader reader = read("a:\nb: {}\n");
  auto root = reader.root();
  EXPECT_TRUE(root.is_null("a"));
  EXPECT_FALSE(root.is_null("b"));
  EXPECT_FALSE(root.is_null("c"));
  EXPECT_TRUE(root.has("b"));
}

TEST(Reader, TellsEveryMistakeAtOnceInFileOrder) {
  Reader reader = read(R"(storage:
  max_sise: 1
  path: [1]
  max_size: 10GG
  wait: 15
  mark: 101
  keep: yes
  threads: 99
level: loud
list: {a: 1}
stroage: {}
)");
  Section root = reader.root();
  (void)root.list("list", {});
  (void)root.choice<int>("level", 1, {{"info", 1}, {"warn", 2}});
  Section storage = root.section("storage");
  EXPECT_EQ(storage.integer("threads", 4, {1, 64}), 4);
  EXPECT_EQ(storage.size("max_size", 3), 3u);
  (void)storage.duration("wait", seconds(1));
  (void)storage.percent("mark", 5);
  (void)storage.boolean("keep", true);
  (void)storage.string("path", "");
  EXPECT_EQ(
      texts(reader.finish().errors),
      (Texts{"x.yml:2: storage.max_sise: unknown key (did you mean max_size?)",
             "x.yml:3: storage.path: must be a single value",
             "x.yml:4: storage.max_size: \"10GG\" is not a size such as 512KiB, 10MiB or 50GiB",
             "x.yml:5: storage.wait: \"15\" is not a time such as 500ms, 15s, 10m, 2h or 7d",
             "x.yml:6: storage.mark: \"101\" is not a percentage from 0 to 100",
             "x.yml:7: storage.keep: \"yes\" is not true or false", "x.yml:8: storage.threads: must be 1 to 64, not 99",
             "x.yml:9: level: \"loud\" is none of info, warn", "x.yml:10: list: must be a list",
             "x.yml:11: stroage: unknown key (did you mean storage?)"}));
}

TEST(Reader, AKeyInTheWrongPlaceIsPointedToItsPlace) {
  Reader reader = read("tag_ttl: 1s\nnonsense: 1\n");
  (void)reader.root().section("mirror").duration("tag_ttl", seconds(1));
  EXPECT_EQ(texts(reader.finish().errors),
            (Texts{"x.yml:1: tag_ttl: unknown key (did you mean mirror.tag_ttl?)", "x.yml:2: nonsense: unknown key"}));
}

TEST(Reader, AKeyWithoutValueIsAnErrorButASectionMayBeEmpty) {
  Reader reader = read("a:\nb:\nc: ~\n");
  EXPECT_EQ(reader.root().string("a", "x"), "x");
  (void)reader.root().section("b").string("y", "");
  (void)reader.root().list("c", {});
  EXPECT_EQ(texts(reader.finish().errors),
            (Texts{"x.yml:1: a: has no value; leave the key out for the default, or write \"\"",
                   "x.yml:3: c: has no value; write [] for none"}));
}

TEST(Reader, MapsWithFreeKeysKeepTheirOrder) {
  Reader reader = read(R"(
upstreams:
  z.io: {ttl: 1s}
  a.io:
  "b.io:5000": {ttl: 2s, tll: 3s}
hosts: {"m.lan": "quay.io", "n.lan": [1]}
)");
  Texts names;
  Section root = reader.root();
  for (auto& [name, upstream] : root.section("upstreams").sections()) {
    names.push_back(name + "=" + format_duration(upstream.duration("ttl", seconds(9))));
  }
  EXPECT_EQ(names, (Texts{"z.io=1s", "a.io=9s", "b.io:5000=2s"}));
  const auto hosts = root.section("hosts").strings();
  ASSERT_EQ(hosts.size(), 2u);
  EXPECT_EQ(hosts[0], (std::pair<std::string, std::string>("m.lan", "quay.io")));
  EXPECT_EQ(texts(reader.finish().errors), (Texts{"x.yml:5: upstreams.b.io:5000.tll: unknown key (did you mean ttl?)",
                                                  "x.yml:6: hosts.n.lan: must be a single value"}));
}

TEST(Reader, FlagBeatsEnvironmentBeatsFile) {
  Reader reader =
      read("storage: {path: file, max_size: 1, wait: 1s}\n",
           {.file = "x.yml",
            .environment = {{"SHOAL_STORAGE_PATH", "env"}, {"SHOAL_STORAGE_MAX_SIZE", "2KiB"}, {"HOME", "/"}},
            .sets = {"storage.path=flag", "storage.path=last"}});
  Section storage = reader.root().section("storage");
  EXPECT_EQ(storage.string("path", ""), "last");
  EXPECT_EQ(storage.size("max_size", 0), 2048u);
  EXPECT_EQ(storage.duration("wait", seconds(5)), seconds(1));
  EXPECT_EQ(storage.where("path"), "--set");
  EXPECT_EQ(storage.where("max_size"), "SHOAL_STORAGE_MAX_SIZE");
  EXPECT_EQ(storage.where("wait"), "x.yml:1");
  const Report& report = reader.finish();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(texts(report.warnings), Texts{});
}

TEST(Reader, OverridesReachAbsentSectionsListsAndMaps) {
  Reader reader = read("upstreams: {docker.io: {}}\n", {.file = "x.yml",
                                                        .environment = {{"SHOAL_SERVER_LISTEN", "a:1, b:2"},
                                                                        {"SHOAL_SERVER_LIMITS_URI_BYTES", "1KiB"},
                                                                        {"SHOAL_UPSTREAMS_DOCKER_IO_TTL", "3s"},
                                                                        {"SHOAL_HOSTS", "{m.lan: quay.io}"}},
                                                        .sets = {"server.extra=[\"c:3\", d]", "log.file="}});
  Section root = reader.root();
  EXPECT_EQ(root.section("server").list("listen", {}), (Texts{"a:1", "b:2"}));
  EXPECT_EQ(root.section("server").list("extra", {}), (Texts{"c:3", "d"}));
  EXPECT_EQ(root.section("server").section("limits").size("uri_bytes", 1), 1024u);
  EXPECT_EQ(root.section("upstreams").sections()[0].second.duration("ttl", seconds(1)), seconds(3));
  EXPECT_EQ(root.section("hosts").strings()[0].second, "quay.io");
  EXPECT_EQ(root.section("log").string("file", "x"), "");
  const Report& report = reader.finish();
  EXPECT_EQ(texts(report.errors), Texts{});
  EXPECT_EQ(texts(report.warnings), Texts{});
}

// `SHOAL_AUTH_HTPASSWD=$FORGOTTEN` must not switch logins off.
TEST(Reader, AnEmptyVariableCountsAsNotSet) {
  Reader reader = read("auth: {htpasswd: users, realm: x}\n",
                       {.file = "x.yml",
                        .environment = {{"SHOAL_AUTH_HTPASSWD", ""}, {"SHOAL_AUTH_REALM", ""}, {"SHOAL_AUTH", ""}},
                        .sets = {"auth.realm="}});
  Section auth = reader.root().section("auth");
  EXPECT_EQ(auth.string("htpasswd", ""), "users");
  EXPECT_EQ(auth.where("htpasswd"), "x.yml:1");
  EXPECT_EQ(auth.string("realm", "shoal"), "") << "a flag can";
  EXPECT_EQ(auth.string("mode", "strict"), "strict");
  const Report& report = reader.finish();
  EXPECT_TRUE(report.ok());
  ASSERT_EQ(report.warnings.size(), 3u);
  for (const auto& warning : report.warnings) {
    EXPECT_NE(to_string(warning).find(" is empty and counts as not set; --set key= sets an empty value"),
              std::string::npos)
        << to_string(warning);
  }
}

TEST(Reader, WrongOverridesNameTheirSource) {
  Reader reader = read("", {.file = "x.yml",
                            .environment = {{"SHOAL_STORAGE_PTH", "x"}, {"SHOAL_STORAGE_SIZE", "big"}},
                            .sets = {"storage.pth=x", "nonsense", "=x", "storage.list=[a"}});
  Section storage = reader.root().section("storage");
  (void)storage.string("path", "");
  (void)storage.size("size", 0);
  (void)storage.list("list", {});
  const Report& report = reader.finish();
  ASSERT_EQ(report.errors.size(), 5u);
  EXPECT_EQ(to_string(report.errors[0]), "--set: must be key=value, as in storage.path=/srv/shoal");
  EXPECT_EQ(to_string(report.errors[2]),
            "SHOAL_STORAGE_SIZE: storage.size: \"big\" is not a size such as 512KiB, 10MiB or 50GiB");
  EXPECT_EQ(to_string(report.errors[4]), "--set: storage.pth: unknown key (did you mean storage.path?)");
  EXPECT_EQ(texts(report.warnings),
            Texts{"SHOAL_STORAGE_PTH: this variable sets nothing (did you mean SHOAL_STORAGE_PATH?)"});
}

TEST(Reader, BracketsOfAnAddressInAnOverrideAreNoList) {
  Reader reader = read("", {.file = "x.yml", .sets = {"one=[::]:5000", "two=[::]:5000,[::1]:5001"}});
  EXPECT_EQ(reader.root().list("one", {}), Texts{"[::]:5000"});
  EXPECT_EQ(reader.root().list("two", {}), (Texts{"[::]:5000", "[::1]:5001"}));
  EXPECT_EQ(texts(reader.finish().errors), Texts{});
}

TEST(Reader, AnOverrideThatIsNoYamlNamesItsKey) {
  Reader reader = read("", {.file = "x.yml", .sets = {"storage.list=[a"}});
  (void)reader.root().section("storage").list("list", {});
  const Report& report = reader.finish();
  ASSERT_EQ(report.errors.size(), 1u);
  EXPECT_EQ(report.errors[0].key, "storage.list");
}

TEST(Reader, CallersAddProblemsWhereTheValueStands) {
  Reader reader = read("a: {b: 1,\n  c: 2}\n");
  Section a = reader.root().section("a");
  (void)a.string("b", "");
  (void)a.string("c", "");
  a.fail("c", "is no good with b");
  a.fail("d", "is needed");
  a.warn("b", "is old");
  const Report& report = reader.finish();
  EXPECT_EQ(texts(report.errors), (Texts{"x.yml:1: a.d: is needed", "x.yml:2: a.c: is no good with b"}));
  EXPECT_EQ(texts(report.warnings), Texts{"x.yml:1: a.b: is old"});
}

TEST(Reader, SettingsSayWhereTheyComeFromWithoutSecrets) {
  Reader reader =
      read("url: http://me:hun,ter2@proxy:3128/x\npassword: hunter2\nurls: [\"https://u:hunter2@h\", b@c]\n");
  Section root = reader.root();
  (void)root.string("url", "");
  (void)root.string("password", "");
  (void)root.list("urls", {});
  (void)root.size("size", 1 << 20);
  const Report& report = reader.finish();
  ASSERT_EQ(report.settings.size(), 4u);
  EXPECT_EQ(report.settings[0].value, "http://***@proxy:3128/x");
  EXPECT_EQ(report.settings[0].where, "x.yml:1");
  EXPECT_EQ(report.settings[1].value, "***");
  EXPECT_EQ(report.settings[2].value, "https://***@h, b@c");
  EXPECT_EQ(report.settings[3].value, "1MiB");
  EXPECT_EQ(report.settings[3].where, "default");
}

TEST(ReaderYaml, DuplicateKeysAreErrors) {
  Reader reader = read("a: {b: 1}\nc:\n  d: 1\n  e: 2\n  d: 3\n");
  (void)reader.root().section("a").string("b", "");
  Section c = reader.root().section("c");
  EXPECT_EQ(c.string("d", ""), "1");
  (void)c.string("e", "");
  EXPECT_EQ(texts(reader.finish().errors), Texts{"x.yml:5: c.d: given twice; the first is on line 3"});
}

TEST(ReaderYaml, AliasesAndMergeKeysWork) {
  Reader reader = read("base: &b {ttl: 1s, retries: 3}\nup: {<<: *b, ttl: 2s}\nlist: &l [x]\nsame: *l\n");
  Section root = reader.root();
  EXPECT_EQ(root.section("up").duration("ttl", seconds(0)), seconds(2));
  EXPECT_EQ(root.section("up").integer("retries", 0, {0, 9}), 3);
  EXPECT_EQ(root.list("same", {}), Texts{"x"});
}

void expect_refused(const std::string& text, std::string_view why) {
  Reader reader = read(text);
  (void)reader.root();
  const Report& report = reader.finish();
  ASSERT_FALSE(report.ok()) << text.substr(0, 80);
  EXPECT_NE(to_string(report.errors[0]).find(why), std::string::npos) << to_string(report.errors[0]);
}

TEST(ReaderYaml, BrokenTextIsAnErrorWithALine) {
  expect_refused("a: 1\nb: [1\n", "x.yml:3: not YAML");
  expect_refused("a: 1\n\tb: 2\n", "x.yml:2: not YAML");
  expect_refused("a: \"x", "not YAML");
  expect_refused("- a\n- b\n", "x.yml:1: must be a map");
  expect_refused("just text", "x.yml:1: must be a map");
  expect_refused("a: 1\n---\nb: 2\n", "more than one document");
  expect_refused("a: *nope\n", "x.yml:1: not YAML");
  expect_refused("? [a, b]\n: c\n", "a key must be plain text");
  expect_refused(std::string("a: 1\0", 5), "zero byte");
  expect_refused("a: &x [*x]\n", "not complete");
}

TEST(ReaderYaml, DepthNodesAndSizeAreBounded) {
  const auto nested = [](std::size_t depth) { return "a: " + std::string(depth, '[') + std::string(depth, ']'); };
  {
    Reader reader = read(nested(15));
    (void)reader.root().has("a");
    EXPECT_TRUE(reader.finish().ok());
  }
  expect_refused(nested(16), "nested deeper than 16");
  expect_refused(nested(100'000), "nested deeper than 16");
  expect_refused("a: 1\n#" + std::string(1 << 20, 'x'), "larger than 1048576 bytes");
  std::string many = "a: [0";
  for (int i = 0; i < 100'000; ++i) many += ",0";
  expect_refused(many + "]", "more than 100000 values");
  std::string keys;
  for (int i = 0; i < 10'001; ++i) keys += "k" + std::to_string(i) + ": 0\n";
  expect_refused(keys, "more than 10000 keys");
}

TEST(ReaderYaml, AliasBombsAreBounded) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 1; j < 10; ++j) bomb += "," + last;
    bomb += "]\n";
  }
  expect_refused(bomb, "more than 100000 values");
  std::string deep = "a0: &a0 [x]\n";
  for (int i = 1; i < 20; ++i)
    deep += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  expect_refused(deep, "nested deeper than 16");
}

TEST(ReaderFile, MissingAndReadable) {
  Reader missing({.file = "/nonexistent/shoal.yml"});
  (void)missing.root();
  EXPECT_EQ(texts(missing.finish().errors), Texts{"/nonexistent/shoal.yml: open: No such file or directory"});
  Reader directory({.file = "/tmp"});
  (void)directory.root();
  EXPECT_FALSE(directory.finish().ok());

  test::TempDir dir;
  const std::string path = (dir.path() / "shoal.yml").string();
  std::ofstream(path) << "a: 1\nb: 2\n";
  Reader reader({.file = path});
  EXPECT_EQ(reader.root().string("a", ""), "1");
  EXPECT_EQ(texts(reader.finish().errors), Texts{path + ":2: b: unknown key"});
}

TEST(ReaderFile, NoFileIsAllDefaults) {
  Reader reader({.file = ""});
  EXPECT_EQ(reader.root().section("storage").string("path", "p"), "p");
  EXPECT_TRUE(reader.finish().ok());
}

}  // namespace
}  // namespace shoal::config
