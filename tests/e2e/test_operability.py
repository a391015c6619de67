"""What an operator sees and does: health, metrics, explanations, the access log, the commands, reload."""

import json
import os
import re
import stat
import subprocess
import time
import unittest

from lib import case, fake_auth, images, procs, shoal, wire


class OperatorCase(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.image = self.up.add("team/app", images.small_image("ops", layer_size=200_000), "v1")
        self.layer = self.image.layers()[0]


class TestEndpoints(OperatorCase):
    def setUp(self):
        super().setUp()
        self.mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "60s"}})

    def test_health_and_readiness(self):
        self.assertEqual(self.mirror.get("/healthz").status, 200)
        answer = self.mirror.get("/readyz")
        self.assertEqual((answer.status, answer.json()["ready"]), (200, True))
        self.up.refuse()
        self.mirror.manifest("team/app", "v1")
        self.assertEqual(self.mirror.get("/readyz").status, 200)  # an outage upstream is no reason to be taken out

    def test_metrics_are_prometheus_text_and_name_what_matters(self):
        self.up.rate_limit = (100, 77)
        self.mirror.pull("team/app", "v1")
        self.mirror.pull("team/app", "v1")
        answer = self.mirror.get("/metrics")
        self.assertIn("text/plain", answer.headers["content-type"])
        text = answer.body.decode()
        for line in text.splitlines():
            self.assertRegex(line, r'^(#.*|[a-zA-Z_:][\w:]*(\{([a-zA-Z_]\w*="([^"\\]|\\.)*",?)*\})? [-+0-9.eEinfNa]+)$')
        names = {re.match(r"[\w:]+", line).group(0) for line in text.splitlines() if line and line[0] != "#"}
        wanted = {"requests": r"^shoal_.*requests_total$", "bytes sent": r"^shoal_sent_bytes_total$",
                  "bytes from upstream": r"^shoal_upstream_.*bytes_total$",
                  "hits and misses": r"^shoal_cache_outcomes_total$",
                  "collapsed": r"^shoal_collapsed_total$", "fills": r"^shoal_fills_total$",
                  "upstream status classes": r"^shoal_upstream_.*(answers|responses|requests).*total$",
                  "latency": r"^shoal_request_seconds_bucket$", "first byte": r"^shoal_first_byte_seconds_bucket$",
                  "rate limit": r"^shoal_.*rate_limit_remaining$", "cache size": r"^shoal_.*(cache|blob|store)\w*_bytes$",
                  "evictions": r"^shoal_.*evict\w*_total$", "index use": r"^shoal_.*index\w*_bytes$",
                  "loop lag": r"^shoal_.*loop.*lag.*"}
        missing = [what for what, pattern in wanted.items() if not any(re.search(pattern, name) for name in names)]
        self.assertEqual(missing, [], sorted(names))

    def test_metrics_move(self):
        before = self.mirror.metrics()
        self.mirror.pull("team/app", "v1")
        self.mirror.wait_for_blob(self.layer.digest)
        self.mirror.pull("team/app", "v1")

        def grown(prefix):
            after = self.mirror.metrics()
            return sum(v for k, v in after.items() if k.startswith(prefix)) - \
                sum(v for k, v in before.items() if k.startswith(prefix))

        size = sum(blob.size for blob in self.image.blobs)
        procs.wait_until(lambda: grown("shoal_requests_total") >= 8, 5, "8 requests to be counted")
        self.assertGreaterEqual(grown("shoal_sent_bytes_total"), 2 * size)
        self.assertEqual(grown("shoal_upstream_blob_bytes_total"), size)
        self.assertEqual(grown("shoal_fills_total"), 3)
        procs.wait_until(lambda: grown("shoal_fills_published_total") >= 3, 5, "every blob to be published")
        self.assertEqual(grown("shoal_fills_published_total"), 3)
        self.assertGreaterEqual(grown('shoal_cache_outcomes_total{outcome="hit'), 0)
        self.assertGreaterEqual(grown("shoal_request_seconds_count"), 8)

    def test_metrics_on_the_admin_listener_and_not_on_main_when_told(self):
        answer = wire.get(("127.0.0.1", self.mirror.admin_port), "/metrics")
        self.assertEqual(answer.status, 200)
        other = self.shoal(self.up, {"admin": {"metrics_on_main": False}}, name="other")
        self.assertEqual(other.get("/metrics").status, 404)
        self.assertEqual(wire.get(("127.0.0.1", other.admin_port), "/metrics").status, 200)

    def test_admin_api_is_not_on_the_main_listener(self):
        self.assertEqual(self.mirror.get("/api/v1/status").status, 404)
        self.assertEqual(wire.get(("127.0.0.1", self.mirror.admin_port), "/api/v1/status").status, 200)

    def test_answers_explain_themselves(self):
        cold = self.mirror.manifest("team/app", "v1")
        self.assertRegex(case.cache_status(cold), r"^shoal; ?fwd=miss")
        warm = self.mirror.manifest("team/app", "v1")
        self.assertRegex(case.cache_status(warm), r"^shoal; ?hit")
        self.assertEqual(warm.headers.get("age"), "0")
        time.sleep(1.2)
        self.assertGreaterEqual(int(self.mirror.manifest("team/app", "v1").headers["age"]), 1)

    def test_access_log_has_one_line_for_each_request(self):
        self.mirror.manifest("team/app", "v1", headers={"User-Agent": "odd \"agent\"\n".strip()})
        self.mirror.get("/v2/team/app/manifests/nope")
        with self.mirror.stream("/v2/team/app/blobs/" + self.layer.digest) as stream:
            stream.read_all()

        def lines():
            found = [line for line in self.mirror.access() if "/team/app/" in line["target"]]
            return found if len(found) >= 3 else None

        found = sorted(procs.wait_until(lines, 5, "three lines"), key=lambda line: line["time"])
        self.assertEqual(len(found), 3)
        self.assertEqual([line["status"] for line in found], [200, 404, 200])
        blob = found[2]
        self.assertEqual(blob["bytes"], self.layer.size)
        self.assertIs(blob["complete"], True)
        self.assertEqual(blob["end"], "ok")
        self.assertEqual(blob["method"], "GET")
        self.assertIn("docker.io/team/app", blob["repository"])
        self.assertIn("shoal", blob["cache"])
        self.assertEqual(found[1]["cache"], "shoal; fwd=miss")
        self.assertEqual(len({line["id"] for line in found}), 3)
        for key in ("time", "peer", "first_byte_ms", "total_ms"):
            self.assertIn(key, blob)

    def test_access_log_tells_who_cut_a_transfer(self):
        large = images.random_blob(3 << 20)
        large.diff_id, large.media_type = large.digest, images.OCI_LAYER_GZIP
        self.up.add("team/large", images.image([large]), "v1")
        path = "/v2/team/large/blobs/" + large.digest

        def ends(count):
            def found():
                lines = [line for line in mirror.access() if line["target"] == path]
                return lines if len(lines) >= count else None

            return procs.wait_until(found, 20, "%d lines" % count)

        self.up.fault("GET", large.digest, truncate_at=100_000)
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "retries": 0}}, name="cut")
        mirror.manifest("team/large", "v1")  # so that the size is known, and the head is out, when it breaks
        self.assertTrue(mirror.get(path, timeout=40).broken)
        line = ends(1)[0]
        self.assertEqual((line["end"], line["complete"]), ("upstream", False), line)
        self.assertIn(self.up.host, line["detail"])
        self.up.heal()
        self.assert_sound_blob(mirror.get(path, timeout=40), large)
        self.assertEqual(ends(2)[1]["end"], "ok")
        stream = mirror.stream(path, receive_buffer=4096)
        stream.read(1000)
        stream.close()
        line = ends(3)[2]
        self.assertEqual((line["end"], line["complete"]), ("client", False), line)

    def test_log_lines_cannot_be_forged(self):
        raw = wire.Raw(self.mirror.address)
        raw.send(b"GET /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nUser-Agent: a\xff\xc3\"}\t{\r\n"
                 b"Connection: close\r\n\r\n")
        raw.read_until_closed()
        raw.close()
        procs.wait_until(lambda: os.path.getsize(self.mirror.access_file) > 0, 5, "the access log")
        time.sleep(0.3)
        with open(self.mirror.access_file, "rb") as f:
            data = f.read()
        self.assertNotIn(b"\xff", data)
        for line in data.splitlines():
            json.loads(line)

    def test_access_log_in_text(self):
        mirror = self.shoal(self.up, {"log": {"access_format": "text"}}, name="text")
        mirror.manifest("team/app", "v1")

        def logged():
            with open(mirror.access_file) as f:
                return [line for line in f if "status=200" in line and "/team/app/" in line]

        procs.wait_until(logged, 5, "the line")

    def test_upstream_trouble_is_logged_once_and_not_per_request(self):
        self.up.refuse()
        for number in range(30):
            self.mirror.manifest("team/app", "never-%d" % (number % 3), timeout=60)
            if time.monotonic() > 0 and number > 3:
                break
        loud = [line for line in self.mirror.stderr().splitlines() if re.search(r"\b(error|warn)", line, re.I)]
        self.assertLess(len(loud), 30)
        self.assertIn("warn upstream: docker.io (%s): connect to" % self.up.url, self.mirror.stderr())
        self.up.listen_again()
        procs.wait_until(lambda: self.mirror.manifest("team/app", "v1").status == 200, 10, "upstream to be asked again")
        procs.wait_until(lambda: "info upstream: docker.io (%s): answers again" % self.up.url in self.mirror.stderr(), 5,
                         "the log line")

    def test_refused_credentials_are_logged_once(self):
        up = self.upstream(auth=fake_auth.Bearer(users={"me": "right"}))
        up.add("team/app", self.image, "v1")
        password = os.path.join(self.dir, "password")
        with open(password, "w") as f:
            f.write("wrong\n")
        mirror = self.shoal({"docker.io": {"urls": [up.url], "username": "me", "password_file": password}}, name="denied")
        for _ in range(5):
            self.assertEqual(mirror.manifest("team/app", "v1").status, 503)
        procs.wait_until(lambda: "check this upstream's credentials" in mirror.stderr(), 5, "the log line")
        self.assertEqual(mirror.stderr().count("check this upstream's credentials"), 1)

    def test_what_a_client_may_not_have_does_not_alarm_the_operator(self):
        up = self.upstream(auth=fake_auth.Bearer())
        up.add("team/private", self.image, "v1")
        mirror = self.shoal({"docker.io": {"urls": [up.url]}}, name="anonymous")
        for _ in range(5):
            self.assertEqual(mirror.manifest("team/private", "v1").status, 503)
            self.assertEqual(mirror.blob("team/private", self.layer.digest).status, 503)
        told = "UNAUTHORIZED: incorrect username or password; no credentials are configured for this upstream"
        procs.wait_until(lambda: told in mirror.stderr(), 5, "the log line")
        self.assertEqual(mirror.stderr().count(told), 1)
        loud = [line for line in mirror.stderr().splitlines() if re.search(r" (error|warn) (upstream|mirror):", line)]
        self.assertEqual(loud, [])


class TestCommands(OperatorCase):
    def setUp(self):
        super().setUp()
        self.mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "60s"}})
        self.node = ["--admin", "http://127.0.0.1:%d" % self.mirror.admin_port]
        self.mirror.pull("team/app", "v1")
        self.mirror.wait_for_blob(self.layer.digest)

    def fails(self, code, *arguments):
        with self.assertRaises(procs.ToolFailed) as caught:
            self.mirror.cli(*arguments)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception.output

    def test_version_and_help(self):
        self.assertRegex(self.mirror.cli("version"), r"\d+\.\d+\.\d+")
        for command in ("serve", "check", "status", "list", "show", "rm", "client-config", "version"):
            self.assertIn("shoal", self.mirror.cli(command, "--help"))

    def test_status(self):
        self.assertIn("docker.io", self.mirror.cli("status", *self.node))
        status = json.loads(self.mirror.cli("status", "--json", *self.node))
        self.assertTrue(status["ready"])
        self.assertGreaterEqual(status["store"]["blobs"], 1)

    def test_list_and_show(self):
        self.assertIn("docker.io/team/app:v1", self.mirror.cli("list", *self.node))
        self.assertIn(self.image.digest, self.mirror.cli("list", "docker.io/team/app", *self.node))
        json.loads(self.mirror.cli("list", "--json", *self.node))
        shown = self.mirror.cli("show", "docker.io/team/app:v1", *self.node)
        for blob in self.image.blobs:
            self.assertIn(blob.digest, shown)
        self.fails(1, "show", "docker.io/team/app:nope", *self.node)

    def test_rm_tag_and_blob(self):
        self.mirror.cli("rm", self.layer.digest, *self.node)
        self.assertFalse(self.mirror.has_blob(self.layer.digest))
        self.up.forget()
        self.assert_sound_blob(self.mirror.blob("team/app", self.layer.digest), self.layer)
        self.assertEqual(self.up.count("GET", self.layer.digest), 1)
        self.mirror.cli("rm", "docker.io/team/app:v1", *self.node)
        self.assertNotIn("team/app:v1", self.mirror.cli("list", *self.node))
        self.fails(1, "rm", "docker.io/team/app:never", *self.node)

    def test_node_that_is_away_is_a_clear_failure(self):
        self.assertIn("127.0.0.1:9", self.fails(1, "status", "--admin", "http://127.0.0.1:9"))

    def test_wrong_use(self):
        self.fails(2, "no-such-command")
        self.fails(2, "serve", "--no-such-flag")
        self.assertIn("no command 'stat'", self.fails(2, "stat"))

    def test_client_config_of_every_client(self):
        for client in ("docker", "containerd", "podman", "buildkit", "k3s"):
            text = self.mirror.cli("client-config", client, "--config", self.mirror.config_file)
            self.assertIn("127.0.0.1", text, client)

    def test_client_config_of_a_node_that_mirrors_nothing(self):
        path = os.path.join(self.dir, "host.yml")
        with open(path, "w") as f:
            f.write("upstreams: {}\n")
        self.assertIn("--registry", self.fails(1, "client-config", "podman", "--config", path))

    def test_hash_password_without_a_password_says_so(self):
        self.assertIn("no password", self.fails(1, "hash-password", "ann"))

    def test_check_accepts_and_refuses_with_file_and_line(self):
        self.mirror.cli("check", "--config", self.mirror.config_file)
        path = os.path.join(self.dir, "bad.yml")
        with open(path, "w") as f:
            f.write("server:\n  listen: [\"127.0.0.1:0\"]\n  lopps: 2\nstorage:\n  max_size: lots\n")
        output = self.fails(1, "check", "--config", path)
        self.assertIn("bad.yml:3", output)
        self.assertIn("bad.yml:5", output)
        with self.assertRaises(procs.ToolFailed) as caught:
            self.mirror.cli("serve", "--config", path)
        self.assertIn("bad.yml:3", caught.exception.output)

    def test_reference_configuration_is_valid(self):
        here = os.path.dirname(os.path.abspath(__file__))
        self.mirror.cli("check", "--config", os.path.join(here, "..", "..", "conf", "shoal.yml"))

    def test_set_and_environment_override_the_file(self):
        output = self.fails(1, "check", "--config", self.mirror.config_file, "--set", "storage.max_size=nonsense")
        self.assertIn("storage.max_size", output)

    def test_set_without_a_value_is_wrong_use(self):
        for given in ("storage.max_size", "=1GiB"):
            output = self.fails(2, "check", "--config", self.mirror.config_file, "--set", given)
            self.assertIn("'%s' is not KEY=VALUE" % given, output)

    def test_check_warns_of_a_storage_that_cannot_be_made(self):
        a_file = os.path.join(self.dir, "file")
        open(a_file, "w").close()
        fixed = os.path.join(self.dir, "fixed")
        os.mkdir(fixed)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", fixed], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", fixed], check=False)
        for path, says in ((a_file + "/shoal", a_file + " is not a directory"),
                           (fixed + "/deep/shoal", "this user cannot write to " + fixed + ": ")):
            outcome = subprocess.run([os.environ["SHOAL_BIN"], "check", "--config", self.mirror.config_file, "--set",
                                      "storage.path=" + path], capture_output=True, text=True, check=True)
            self.assertIn("warning: storage.path: " + says, outcome.stderr)
        self.assertNotIn("storage.path", self.mirror.cli("check", "--config", self.mirror.config_file))

    def test_check_tells_warnings_from_errors(self):
        outcome = subprocess.run([os.environ["SHOAL_BIN"], "check", "--config", self.mirror.config_file, "--set",
                                  "registry.gc_grace=1s"], capture_output=True, text=True, timeout=20)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertRegex(outcome.stderr, "(?m)^warning: .*gc_grace")

    def test_passwords_are_not_shown(self):
        path = os.path.join(self.dir, "secret")
        with open(path, "w") as f:
            f.write("hunter2hunter2\n")
        self.mirror.config["upstreams"]["docker.io"].update(username="me", password_file=path)
        self.mirror.write_config()
        self.mirror.restart()
        self.node = ["--admin", "http://127.0.0.1:%d" % self.mirror.admin_port]
        for text in (self.mirror.cli("check", "--config", self.mirror.config_file),
                     self.mirror.cli("status", "--json", *self.node), self.mirror.stderr(),
                     wire.get(("127.0.0.1", self.mirror.admin_port), "/api/v1/config").body.decode()):
            self.assertNotIn("hunter2", text)


class TestReload(OperatorCase):
    def test_sighup_takes_new_upstreams_and_ttls(self):
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "60s"}})
        mirror.manifest("team/app", "v1")
        other = self.upstream()
        moved = other.add("team/new", images.small_image("new"), "v1")
        mirror.config["upstreams"]["quay.test"] = {"urls": [other.url]}
        mirror.config["upstreams"]["docker.io"]["tag_ttl"] = "0s"
        mirror.write_config()
        mirror.reload()
        procs.wait_until(lambda: mirror.manifest("quay.test/team/new", "v1").body == moved.data, 5, "the new upstream")
        self.up.forget()
        mirror.manifest("team/app", "v1")
        self.assertEqual(self.up.count("HEAD"), 1)

    def test_sighup_with_a_bad_file_keeps_the_old_configuration(self):
        mirror = self.shoal(self.up)
        with open(mirror.config_file, "a") as f:
            f.write("nonsense: true\n")
        mirror.reload()
        procs.wait_until(lambda: "nonsense" in mirror.stderr(), 5, "the complaint")
        self.assertEqual(mirror.manifest("team/app", "v1").status, 200)

    def test_sighup_in_the_middle_of_a_transfer_does_not_break_it(self):
        big = self.up.add_blob("team/app", images.random_blob(8 << 20))
        self.up.fault(path=big.digest, rate=8 << 20)
        mirror = self.shoal(self.up)
        with mirror.stream("/v2/team/app/blobs/" + big.digest) as stream:
            stream.read(1 << 20)
            mirror.config["upstreams"]["docker.io"]["tag_ttl"] = "5s"
            mirror.write_config()
            mirror.reload()
            stream.read_all()
        self.assertEqual(images.digest_of(stream.got), big.digest)

    def test_rotated_access_log_is_reopened(self):
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        procs.wait_until(lambda: os.path.getsize(mirror.access_file) > 0, 5, "the first line")
        os.rename(mirror.access_file, mirror.access_file + ".1")
        mirror.reload()

        def again():
            mirror.get("/v2/")
            return os.path.exists(mirror.access_file) and os.path.getsize(mirror.access_file) > 0

        procs.wait_until(again, 5, "the new file", step=0.2)


class TestSize(OperatorCase):
    def test_starts_fast_and_small(self):
        mirror = self.shoal(self.up)
        if shoal.slow_build() == 1:
            self.assertLess(mirror.started_in, 2)
            with open("/proc/%d/status" % mirror.daemon.pid()) as f:
                resident = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
            self.assertLess(resident, 60 * 1024)

    def test_a_port_of_another_node_is_refused(self):
        mirror = self.shoal(self.up)
        with self.assertRaises(procs.ToolFailed) as caught:
            mirror.cli("serve", "--config", mirror.config_file, "--set", "storage.path=" + mirror.storage + "2",
                       "--set", "server.listen=127.0.0.1:%d" % mirror.port)
        self.assertIn("server.listen", caught.exception.output)
        self.assertIn("127.0.0.1:%d" % mirror.port, caught.exception.output)

    def test_port_file_and_storage_are_not_for_everybody(self):
        mirror = self.shoal(self.up)
        mode = stat.S_IMODE(os.stat(mirror.storage).st_mode)
        self.assertEqual(mode & 0o022, 0, oct(mode))


if __name__ == "__main__":
    unittest.main()
