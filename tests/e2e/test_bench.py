"""shoal bench: what it counts agrees with what was served, and what goes wrong is told."""

import html.parser
import json
import os
import signal
import subprocess

from lib import case, fake_auth, images, procs, registry, shoal
from lib.site import Site
from lib.tls import PrivateCa

MB = 1 << 20
LAYERS = (3 * MB, MB, 200_000)


def run(*arguments):
    return shoal.run("bench", *arguments)


class BenchCase(case.Case):
    limit = 120

    def measure(self, *arguments, code=0):
        got, out, err = run("--json", *arguments)
        self.assertEqual(got, code, err)
        return json.loads(out), err

    def image(self, sizes=LAYERS):
        return images.image([images.random_layer(size) for size in sizes])

    def fake(self, **more):
        up = self.upstream(**more)
        self.manifest = up.add("team/app", self.image(), "v1")
        return up

    def blob_bytes(self):
        return sum(blob.size for blob in self.manifest.all_blobs())

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def assert_ordered(self, times):
        names = ["min", "p50", "p75", "p90", "p95", "p99", "p99_9", "p99_99", "max"]
        values = [times[name] for name in names]
        self.assertEqual(values, sorted(values))
        self.assertGreater(times["min"], 0)
        self.assertLessEqual(times["min"], times["mean"])
        self.assertLessEqual(times["mean"], times["max"])
        percents = [point[0] for point in times["curve"]]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual(times["curve"][-1], [100.0, times["max"]])


class TestMirror(BenchCase):
    """A real mirror before Debian's docker-registry."""

    def setUp(self):
        super().setUp()
        self.registry = registry.Registry(self.dir)
        self.addCleanup(self.registry.stop)
        self.manifest = self.image()
        self.registry.push("team/app", self.manifest, "v1")
        self.mirror = self.shoal(self.registry.url)

    def target(self, server):
        return server.url + "/team/app:v1"

    def test_warm_pulls_are_counted_as_they_were_served(self):
        page = os.path.join(self.dir, "report.html")
        report, err = self.measure("--clients", "1,4", "--rounds", "3", "--html", page, self.target(self.mirror))
        self.assertEqual(err, "")
        self.assertEqual(report["image"]["bytes"], self.blob_bytes())
        self.assertEqual([cell["clients"] for cell in report["pulls"]], [1, 4])
        for cell in report["pulls"]:
            pulls = 3 * cell["clients"]
            self.assertEqual(cell["pulls"], pulls)
            self.assertEqual(cell["bytes"], self.blob_bytes() * pulls)
            self.assertEqual(cell["requests"], pulls * (2 + len(self.manifest.all_blobs())))
            self.assertEqual(cell["failed"], 0)
            self.assertEqual(cell["sources"]["cache"], cell["bytes"])
            self.assertAlmostEqual(cell["bytes_per_second"], cell["bytes"] / cell["seconds"], delta=1)
            self.assertEqual(cell["pull"]["count"], pulls)
            self.assertEqual(cell["first_byte"]["count"], pulls * len(LAYERS))
            for times in (cell["pull"], cell["first_byte"], cell["layer"]):
                self.assert_ordered(times)
            self.assertLessEqual(cell["first_byte"]["p50"], cell["layer"]["p50"])
            self.assertEqual(sum(layer["bytes"] for layer in cell["layers"]), cell["bytes"])
            self.assertEqual({layer["digest"] for layer in cell["layers"]},
                             {blob.digest for blob in self.manifest.all_blobs()})
            self.assertEqual(len(cell["rounds"]), 3)
            self.assertGreater(cell["client_cpu_seconds"], 0)
        self.assertIn("MSG_TRUNC", report["bodies"])
        # The access log is another's count: one warming up, then 3 + 12 pulls.
        layer = self.manifest.layers()[0]
        served = lambda: sum(line["target"].endswith(layer.digest) and line["method"] == "GET" and line["status"] == 200
                             for line in self.mirror.access())
        procs.wait_until(lambda: served() >= 1 + 3 + 12, 10, "the access log, which is written behind")
        self.assertEqual(served(), 1 + 3 + 12)
        self.check_page(page, report)

    def check_page(self, path, report):
        class Page(html.parser.HTMLParser):
            void = {"meta", "br", "circle", "path", "line"}

            def __init__(self):
                super().__init__()
                self.open, self.seen, self.text = [], [], []

            def handle_starttag(self, tag, attributes):
                self.seen.append((tag, dict(attributes)))
                if tag not in self.void:
                    self.open.append(tag)

            def handle_startendtag(self, tag, attributes):
                self.seen.append((tag, dict(attributes)))

            def handle_endtag(self, tag):
                assert self.open and self.open[-1] == tag, (tag, self.open)
                self.open.pop()

            def handle_data(self, data):
                self.text.append(data)

        page = Page()
        with open(path) as f:
            page.feed(f.read())
        page.close()
        self.assertEqual(page.open, [])
        tags = [tag for tag, _ in page.seen]
        for tag, attributes in page.seen:
            self.assertNotIn("src", attributes)
            self.assertNotIn("href", attributes)
            if tag == "svg":
                self.assertTrue(attributes["aria-label"])
        self.assertGreaterEqual(tags.count("svg"), 3)
        self.assertNotIn("script", tags)
        text = " ".join(page.text)
        self.assertIn(report["targets"][0], text)
        for blob in report["image"]["blobs"]:
            if not blob["config"]:
                self.assertIn(blob["digest"][:19], text)

    def test_the_same_target_twice_shows_no_difference(self):
        target = self.target(self.mirror)
        report, _ = self.measure("--rounds", "8", "--clients", "2", target, target)
        ratios = {ratio["what"]: ratio for ratio in report["ratios"]}
        self.assertEqual(set(ratios), {"bytes/s", "first byte p50", "pull p50"})
        for ratio in ratios.values():
            self.assertLessEqual(ratio["low"], ratio["ratio"])
            self.assertLessEqual(ratio["ratio"], ratio["high"])
            self.assertEqual(ratio["rounds"], 8)
        # A 95 % interval misses the truth now and then. That three in a row do is no accident.
        for attempt in range(3):
            if ratios["bytes/s"]["low"] <= 1 <= ratios["bytes/s"]["high"]:
                return
            report, _ = self.measure("--rounds", "8", "--clients", "2", target, target)
            ratios = {ratio["what"]: ratio for ratio in report["ratios"]}
        self.fail("a target differs from itself: %s" % ratios["bytes/s"])

    def test_two_targets_are_asked_in_turn_and_a_slow_one_is_found_slower(self):
        slow = self.fake()
        slow.fault(path="/blobs/", rate=8 * MB)
        report, _ = self.measure("--rounds", "3", self.target(slow), self.target(slow))
        self.assertEqual(slow.count("HEAD", "/manifests/"), 6)
        fast = self.upstream()
        fast.add("team/app", self.manifest, "v1")
        report, _ = self.measure("--rounds", "4", self.target(slow), self.target(fast))
        ratio = next(ratio for ratio in report["ratios"] if ratio["what"] == "bytes/s")
        self.assertEqual((ratio["target"], ratio["to"]), (1, 0))
        self.assertGreater(ratio["low"], 1)
        heads = [(request.at, server) for server in (slow, fast) for request in server.requests("HEAD", "/manifests/")]
        order = [server is fast for _, server in sorted(heads, key=lambda entry: entry[0])][-8:]
        self.assertEqual(order, [False, True, True, False, False, True, True, False])

    def test_cold_by_forgetting(self):
        admin = "http://127.0.0.1:%d" % self.mirror.admin_port
        report, err = self.measure("--mode", "cold", "--admin", admin, "--rounds", "3", self.target(self.mirror))
        self.assertEqual(err, "")
        cell = report["pulls"][0]
        self.assertEqual(cell["bytes"], 3 * self.blob_bytes())
        self.assertEqual(cell["sources"]["upstream"], cell["bytes"])
        self.assertEqual(cell["sources"]["cache"], 0)
        layer = self.manifest.layers()[0]
        asked = [path for method, path, _ in self.registry.requests() if method == "GET" and layer.digest in path]
        self.assertEqual(len(asked), 3)

    def test_cold_by_new_layers_each_time(self):
        upstream = self.registry.url + "/bench/new"
        report, err = self.measure("--mode", "cold", "--generate", "1MiB,300KiB", "--upstream", upstream, "--rounds", "2",
                                   "--clients", "3", self.mirror.url + "/bench/new")
        self.assertEqual(err, "")
        cell = report["pulls"][0]
        size = report["image"]["bytes"]
        self.assertGreater(size, MB + 300 * 1024)
        self.assertEqual(cell["pulls"], 6)
        self.assertEqual(cell["sources"]["upstream"] + cell["sources"]["cache"], cell["bytes"])
        self.assertGreaterEqual(cell["sources"]["upstream"], 2 * (MB + 300 * 1024))
        pushed = [path for method, path, status in self.registry.requests()
                  if method == "PUT" and "/bench/new/manifests/" in path and status == 201]
        self.assertEqual(len(set(pushed)), 2)

    def test_a_cold_round_that_was_warm_is_no_success(self):
        # The admin API of another node forgets, and the target does not.
        other = self.shoal(self.registry.url, name="other")
        admin = "http://127.0.0.1:%d" % other.admin_port
        run("--rounds", "1", self.target(self.mirror))
        report, err = self.measure("--mode", "cold", "--admin", admin, "--rounds", "1", self.target(self.mirror), code=1)
        self.assertIn("not cold", err)
        self.assertEqual(report["complete"], True)

    def test_generated_layers_are_pushed_to_registries_that_take_them(self):
        hosted = self.shoal({}, name="hosted")
        report, err = self.measure("--generate", "2MiB,64KiB", "--rounds", "2", "--verify",
                                   self.registry.url + "/bench/a", hosted.url + "/bench/a")
        self.assertEqual(err, "")
        self.assertIn("--verify", report["bodies"])
        for cell in report["pulls"]:
            self.assertEqual(cell["bytes"], 2 * report["image"]["bytes"])
        self.assertEqual([blob["size"] for blob in report["image"]["blobs"] if not blob["config"]], [2 * MB, 65536])
        self.assertTrue(any("stay" in note for note in report["notes"]))

    def test_profiles_ask_as_clients_do(self):
        for profile, connections, head in (("docker", True, True), ("podman", True, False), ("containerd", False, True)):
            up = self.fake()
            report, _ = self.measure("--profile", profile, "--rounds", "1", "--mode", "warm", self.target(up))
            pull = [request for request in up.requests() if not request.headers.get("accept", "").startswith("none")]
            measured = pull[-report["pulls"][0]["requests"]:]
            closing = [r.headers.get("connection", "").lower() == "close" for r in measured]
            self.assertEqual(set(closing), {connections}, profile)
            self.assertEqual(any(r.method == "HEAD" for r in measured), head, profile)
            self.assertEqual(measured[0].path.rstrip("/") == "/v2", profile != "containerd", profile)
            if connections:
                self.assertEqual(report["pulls"][0]["connections"], len(measured))

    def test_pieces_by_range(self):
        up = self.fake()
        report, err = self.measure("--profile", "ranged", "--piece", "256KiB", "--parallel", "4", "--rounds", "2",
                                   self.target(up))
        self.assertEqual(err, "")
        self.assertEqual(report["pulls"][0]["bytes"], 2 * self.blob_bytes())
        ranged = [r for r in up.requests("GET", "/blobs/") if "range" in r.headers]
        self.assertEqual(len(ranged), 2 * (12 + 4 + 1))
        up.fault(path="/blobs/", ignore_range=True)
        _, err = self.measure("--profile", "ranged", "--piece", "256KiB", "--rounds", "1", self.target(up), code=1)
        self.assertIn("bytes should come", err)

    def test_manifests_at_a_fixed_rate(self):
        report, err = self.measure("--no-pulls", "--manifests", "50,200", "--seconds", "1", "--rounds", "2",
                                   self.target(self.mirror), self.target(self.mirror))
        self.assertEqual(err, "")
        self.assertEqual(report["pulls"], [])
        self.assertEqual([(cell["target"], cell["rate"]) for cell in report["manifests"]],
                         [(0, 50), (1, 50), (0, 200), (1, 200)])
        for cell in report["manifests"]:
            self.assertEqual(cell["due"], 2 * cell["rate"])
            self.assertEqual((cell["answered"], cell["failed"]), (cell["due"], 0))
            self.assertEqual(cell["response"]["count"], cell["due"])
            self.assert_ordered(cell["response"])
            self.assertGreaterEqual(cell["seconds"], 1.9)
        self.assertEqual(len(report["ratios"]), 4)


class TestOpenLoop(BenchCase):
    def test_what_piles_up_behind_a_silence_counts(self):
        up = self.fake()
        up.fault(method="GET", path="/manifests/v1", times=1, skip=20, delay=1.0)
        report, _ = self.measure("--no-pulls", "--manifests", "100", "--seconds", "2", "--rounds", "1",
                                 "--manifest-connections", "1", up.url + "/team/app:v1")
        cell = report["manifests"][0]
        self.assertEqual(cell["answered"], 200)
        # One answer took a second, and a hundred were due meanwhile over the one connection there is.
        self.assertGreater(cell["response"]["p75"], 200e6)
        self.assertGreater(cell["response"]["max"], 900e6)
        self.assertLess(cell["service"]["p75"], cell["response"]["p75"] / 2)


class TestLogins(BenchCase):
    def test_basic_from_a_password_file_and_from_dockers_configuration(self):
        up = self.fake(auth=fake_auth.Basic({"ann": "the password"}))
        target = up.url + "/team/app:v1"
        code, out, err = run("--rounds", "1", target)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("401", err)
        right, wrong = self.write("right", "the password\n"), self.write("wrong", "another\n")
        self.measure("--rounds", "1", "--user", "ann", "--password-file", right, target)
        code, out, err = run("--rounds", "1", "--user", "ann", "--password-file", wrong, target)
        self.assertEqual((code, out), (1, ""))
        self.assertNotIn("another", err)
        coded = "YW5uOnRoZSBwYXNzd29yZA=="
        config = self.write("config.json", json.dumps({"auths": {up.url[len("http://"):]: {"auth": coded}}}))
        code, out, err = run("--rounds", "1", "--docker-config", config, target)
        self.assertEqual((code, err), (0, ""))
        for secret in ("the password", coded):
            self.assertNotIn(secret, out + err)

    def test_tokens(self):
        up = self.fake(auth=fake_auth.Bearer({"ann": "the password"}))
        right = self.write("right", "the password\n")
        report, err = self.measure("--rounds", "2", "--user", "ann", "--password-file", right, up.url + "/team/app:v1")
        self.assertEqual(err, "")
        self.assertEqual(report["pulls"][0]["failed"], 0)

    def test_tls(self):
        ca = PrivateCa(self.dir)
        up = self.fake(tls=ca.server_context())
        target = up.url + "/team/app:v1"
        report, err = self.measure("--rounds", "2", "--clients", "2", "--ca-file", ca.ca_file, target)
        self.assertEqual(err, "")
        self.assertEqual(report["pulls"][0]["bytes"], 4 * self.blob_bytes())
        self.assertIn("OpenSSL (TLSv1.", report["bodies"])
        code, out, err = run("--rounds", "1", target)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("TLS handshake", err)
        self.measure("--rounds", "1", "--insecure", target)


class TestFailures(BenchCase):
    def fails(self, target, *mentions, arguments=("--rounds", "1")):
        code, out, err = run(*arguments, target)
        self.assertEqual(code, 1, out + err)
        for words in mentions:
            self.assertIn(words, out + err)
        return out

    def test_nobody_listens(self):
        up = self.fake()
        up.refuse()
        self.assertEqual(self.fails(up.url + "/team/app:v1", "connect to", "refused"), "")

    def test_no_such_image(self):
        up = self.fake()
        self.assertEqual(self.fails(up.url + "/team/none:v1", "404", "MANIFEST_UNKNOWN"), "")

    def test_a_layer_that_breaks_off_while_it_is_measured(self):
        up = self.fake()
        layer = self.manifest.layers()[0]
        up.fault(path="/blobs/" + layer.digest, truncate_at=10_000, skip=1)
        out = self.fails(up.url + "/team/app:v1", "ended after 10000 of %d bytes" % layer.size, layer.digest)
        self.assertIn("no pull came through", out)

    def test_a_layer_that_is_shorter_than_the_manifest_says(self):
        up = self.fake()
        layer = self.manifest.layers()[0]
        up.fault(path="/blobs/" + layer.digest, short=1000, skip=1)
        self.fails(up.url + "/team/app:v1", "Content-Length is 1000, but %d" % layer.size)
        up.heal()
        up.fault(path="/blobs/" + layer.digest, truncate_at=1000, no_length=True, skip=1)
        self.fails(up.url + "/team/app:v1", "1000 of %d bytes came" % layer.size)

    def test_wrong_bytes_are_found_before_anything_is_measured_and_by_verify(self):
        up = self.fake()
        layer = self.manifest.layers()[0]
        fault = up.fault(path="/blobs/" + layer.digest, flip_at=1000)
        self.assertEqual(self.fails(up.url + "/team/app:v1", "do not match"), "")
        fault.remove()
        up.fault(path="/blobs/" + layer.digest, flip_at=1000, skip=1)
        self.fails(up.url + "/team/app:v1", "do not match", arguments=("--verify", "--rounds", "1"))

    def test_one_client_of_several_that_fails_is_told_and_the_others_count(self):
        up = self.fake()
        layer = self.manifest.layers()[0]
        up.fault(path="/blobs/" + layer.digest, status=500, skip=2, times=1)
        report, err = self.measure("--clients", "3", "--rounds", "1", up.url + "/team/app:v1", code=1)
        self.assertIn("500", err)
        self.assertIn("2 of 3 pulls were whole", err)
        self.assertEqual(report["pulls"][0]["pulls"], 2)

    def test_silence_has_a_limit(self):
        up = self.fake()
        up.fault(path="/blobs/", hang=True, skip=len(self.manifest.all_blobs()))
        with self.within(20):
            self.fails(up.url + "/team/app:v1", "no answer for 1 s", arguments=("--rounds", "1", "--timeout", "1"))

    def test_a_redirect_is_followed_without_the_login(self):
        from lib import fake_upstream
        up = self.fake(auth=fake_auth.Basic({"ann": "secret"}))
        up.cdn = self.server(fake_upstream.Cdn(up))
        password = self.write("p", "secret\n")
        report, err = self.measure("--rounds", "1", "--user", "ann", "--password-file", password, up.url + "/team/app:v1")
        self.assertEqual(err, "")
        self.assertEqual(report["pulls"][0]["redirects"], len(self.manifest.all_blobs()))
        for request in up.cdn.requests():
            self.assertNotIn("authorization", request.headers)

    def test_wrong_use_is_exit_code_2(self):
        for arguments in ([], ["http://h/UPPER"], ["--mode", "cold", "http://h/a"], ["--mode", "hot", "http://h/a"],
                          ["--clients", "x", "http://h/a"], ["--clients", "0", "http://h/a"],
                          ["--profile", "curl", "http://h/a"], ["--generate", "1XB", "http://h/a"],
                          ["--no-pulls", "http://h/a"], ["http://ann:pw@h/a"], ["--rounds", "0", "http://h/a"],
                          ["--mode", "peer", "--admin", "http://h", "http://h/a"], ["--user", "ann", "http://h/a"]):
            code, out, err = run(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertTrue(err)

    def test_limits_end_the_run_with_what_there_is(self):
        up = self.fake()
        report, err = self.measure("--rounds", "1000", "--max-bytes", "60MiB", up.url + "/team/app:v1", code=1)
        self.assertIn("--max-bytes", err)
        self.assertEqual(report["complete"], False)
        self.assertGreater(report["pulls"][0]["pulls"], 2)
        up.fault(path="/blobs/", rate=4 * MB)
        report, err = self.measure("--rounds", "1000", "--max-time", "4", up.url + "/team/app:v1", code=1)
        self.assertIn("--max-time", err)

    def test_a_page_that_cannot_be_written_is_told_before_anything_is_measured(self):
        up = self.fake()
        code, out, err = shoal.run("bench", "--html", os.path.join(self.dir, "none", "page.html"), up.url + "/team/app:v1")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("cannot write", err)
        self.assertEqual(up.count(), 0)

    def test_ctrl_c_ends_with_a_partial_report(self):
        up = self.fake()
        page = os.path.join(self.dir, "partial.html")
        child = subprocess.Popen([shoal.binary(), "bench", "--json", "--rounds", "1000", "--html", page,
                                  up.url + "/team/app:v1"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=procs.environment(None))
        procs.wait_until(lambda: up.count("HEAD", "/manifests/v1") > 3, 30, "some rounds")
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30 * shoal.slow_build())
        self.assertEqual(child.returncode, 1, err)
        report = json.loads(out)
        self.assertEqual((report["complete"], report["ended"]), (False, "interrupted"))
        cell = report["pulls"][0]
        self.assertGreaterEqual(cell["pulls"], 3)
        self.assertEqual(cell["bytes"], cell["pulls"] * self.blob_bytes())
        self.assertTrue(os.path.getsize(page) > 1000)


class TestPeer(BenchCase):
    def test_bytes_of_a_neighbour_are_told_as_such(self):
        up = self.upstream()
        self.manifest = up.add("team/app", self.image(), "v1")
        site = Site(self, up, 2, p2p={"trust_domain": True})
        target = lambda node: node.url + "/team/app:v1"
        report, err = self.measure("--mode", "peer", "--neighbour", target(site[1]),
                                   "--admin", "http://127.0.0.1:%d" % site[0].admin_port, "--rounds", "2",
                                   target(site[0]))
        self.assertEqual(err, "")
        cell = report["pulls"][0]
        self.assertGreater(cell["sources"]["neighbours"], 0)
        self.assertEqual(cell["sources"]["cache"], 0)
        self.assertEqual(sum(cell["sources"].values()), cell["bytes"])

    def test_without_a_site_no_neighbour_sent_anything(self):
        up = self.upstream()
        self.manifest = up.add("team/app", self.image(), "v1")
        one, two = self.shoal(up, name="one"), self.shoal(up, name="two")
        _, err = self.measure("--mode", "peer", "--neighbour", two.url + "/team/app:v1",
                              "--admin", "http://127.0.0.1:%d" % one.admin_port, "--rounds", "1",
                              one.url + "/team/app:v1", code=1)
        self.assertIn("neighbour", err)


class TestTerminal(BenchCase):
    def test_a_bar_shows_how_far_it_is(self):
        up = self.fake()
        up.fault(path="/blobs/", rate=4 * MB, skip=len(self.manifest.all_blobs()))
        code, out, shown = shoal.run_on_terminal("bench", "--rounds", "2", up.url + "/team/app:v1")
        self.assertEqual(code, 0)
        bars = [text for text in shown.split("\r") if "% " in text]
        self.assertGreater(len(bars), 2, shown)
        self.assertIn("round 1 of 2, 1 client: " + up.url, "".join(bars))
        self.assertIn("round 2 of 2", bars[-1])
        self.assertLess(bars[0].count("#"), bars[-1].count("#"))
        self.assertIn("bytes/s", out)


if __name__ == "__main__":
    import unittest
    unittest.main()
