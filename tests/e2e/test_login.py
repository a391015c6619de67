"""Passwords and rights: docker, podman, skopeo and containerd log in, push and pull; who may not is told so."""

import base64
import http.client
import json
import os
import subprocess
import sys
import unittest

from lib import case, clients, images, procs, registry, shoal, wire

OWN_NETWORK = "E2E_OWN_NETWORK"  # set for what runs in a network namespace of its own
ANN, BOB = ("ann", "ann's secret"), ("bob", "bob: the builder")


def hash_password(user, password):
    """A line for an htpasswd file, by the command that operators use."""
    done = subprocess.run([shoal.binary(), "hash-password", user, "--cost", "4"], input=password + "\n", text=True,
                          stdout=subprocess.PIPE, check=True, timeout=20, env=procs.environment())
    return done.stdout


def basic(user):
    return {"Authorization": "Basic " + base64.b64encode(("%s:%s" % user).encode()).decode()}


class LoginCase(case.Case):
    """A registry of its own: ann may do everything, bob may pull, everyone may pull public/**."""
    limit = 120
    rules = [{"repositories": ["**"], "users": ["ann"], "actions": ["pull", "push", "delete"]},
             {"repositories": ["**"], "users": ["*"], "actions": ["pull"]},
             {"repositories": ["public/**"], "users": ["anonymous"], "actions": ["pull"]}]

    def setUp(self):
        super().setUp()
        self.htpasswd = os.path.join(self.dir, "htpasswd")
        self.set_passwords(ANN, BOB)
        self.node = self.shoal({}, {"auth": {"htpasswd": self.htpasswd, "rules": self.rules}})

    def set_passwords(self, *users):
        with open(self.htpasswd, "w") as f:
            f.write("".join(hash_password(*user) for user in users))
        os.chmod(self.htpasswd, 0o600)

    def push(self, repository, manifest, *tags, user=ANN):
        registry.push(self.node.address, repository, manifest, tags, user)
        return manifest


class TestWire(LoginCase):
    def ask(self, method, path, user=None):
        return wire.request(self.node.address, method, path, basic(user) if user else {})

    def test_without_credentials_the_answer_says_how_to_log_in(self):
        for path in ("/v2/", "/v2/team/app/manifests/v1", "/v2/_catalog"):
            answer = self.ask("GET", path)
            self.assert_oci_error(answer, 401, "UNAUTHORIZED")
            self.assertEqual(answer.headers["www-authenticate"], 'Basic realm="shoal"')

    def test_wrong_password_is_401_and_says_so(self):
        self.push("team/app", images.small_image("a"), "v1")
        for user in (("ann", "wrong"), ("nobody", "ann's secret"), ("ann", "")):
            answer = self.ask("GET", "/v2/team/app/manifests/v1", user)
            self.assert_oci_error(answer, 401, "UNAUTHORIZED", mentions=("password",))
            self.assertEqual(self.ask("GET", "/v2/", user).status, 401)
        self.assertEqual(self.ask("GET", "/v2/", ANN).status, 200)

    def test_without_the_right_it_is_403(self):
        image = self.push("team/app", images.small_image("a"), "v1")
        self.assertEqual(self.ask("GET", "/v2/team/app/manifests/v1", BOB).status, 200)
        self.assert_oci_error(self.ask("POST", "/v2/team/app/blobs/uploads/", BOB), 403, "DENIED")
        self.assert_oci_error(self.ask("DELETE", "/v2/team/app/manifests/" + image.digest, BOB), 403, "DENIED")
        self.assertEqual(self.ask("GET", "/v2/team/app/manifests/v1", BOB).status, 200)

    def test_anonymous_pull_where_only_users_push(self):
        image = self.push("public/app", images.small_image("p"), "v1")
        self.assertEqual(self.ask("GET", "/v2/public/app/manifests/v1").status, 200)
        self.assertEqual(self.ask("GET", "/v2/public/app/blobs/" + image.blobs[0].digest).status, 200)
        self.assertEqual(self.ask("POST", "/v2/public/app/blobs/uploads/").status, 401)
        self.assertEqual(self.ask("GET", "/v2/team/app/manifests/v1").status, 401)
        # what containers/image sends without a login
        self.assertEqual(self.ask("GET", "/v2/public/app/manifests/v1", ("", "")).status, 200)

    def test_a_changed_password_counts_after_a_reload(self):
        self.assertEqual(self.ask("GET", "/v2/", BOB).status, 200)
        new = ("bob", "something else")
        self.set_passwords(ANN, new)
        self.assertEqual(self.ask("GET", "/v2/", BOB).status, 200)
        self.node.reload()
        procs.wait_until(lambda: self.ask("GET", "/v2/", BOB).status == 401, 10, "the old password to be refused")
        self.assertEqual(self.ask("GET", "/v2/", new).status, 200)
        self.assertIn("auth.users is in force", self.node.stderr())

    def test_a_broken_htpasswd_changes_nothing_on_reload(self):
        with open(self.htpasswd, "w") as f:
            f.write("ann:not-a-hash\n")
        self.node.reload()
        procs.wait_until(lambda: "the old one stays" in self.node.stderr(), 10, "the reload to be refused")
        self.assertEqual(self.ask("GET", "/v2/", ANN).status, 200)
        self.assertNotIn("not-a-hash", self.node.stderr())

    def test_a_flood_of_wrong_passwords_leaves_who_is_logged_in_alone(self):
        self.assertEqual(self.ask("GET", "/v2/", ANN).status, 200)
        streams = []
        try:
            for i in range(200):
                raw = wire.Raw(self.node.address)
                streams.append(raw)
                head = "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n"
                raw.send((head % basic(("ann", "guess %d" % i))["Authorization"]).encode())
            with self.within(1):
                self.assertEqual(self.ask("GET", "/v2/", ANN).status, 200)
            # Nor does it hold up somebody else's first login, from elsewhere.
            other = http.client.HTTPConnection(*self.node.address, timeout=10, source_address=("127.0.0.77", 0))
            self.addCleanup(other.close)
            other.request("GET", "/v2/", headers=basic(BOB))
            self.assertEqual(other.getresponse().status, 200)
            answers = [raw.read_answer()[0] for raw in streams]
            self.assertLessEqual(set(answers), {401, 429})
            self.assertIn(429, answers)
            self.assertEqual(self.ask("GET", "/v2/", BOB).status, 200, "good elsewhere: no guess")
        finally:
            for raw in streams:
                raw.close()

    def test_passwords_reach_no_log(self):
        self.push("team/app", images.small_image("a"), "v1")
        self.ask("GET", "/v2/", ("ann", "hunter2hunter2"))
        self.node.stop()
        with open(self.node.access_file) as f:
            text = f.read() + self.node.stderr()
        for secret in (ANN[1], "hunter2", basic(ANN)["Authorization"][6:]):
            self.assertNotIn(secret, text)
        self.assertIn('"ann"', text)


class TestMirrored(case.Case):
    def test_rules_hold_for_what_is_mirrored_in_every_style_of_address(self):
        up = self.upstream()
        up.add("team/app", images.small_image("m"), "v1")
        up.add("open/app", images.small_image("o"), "v1")
        path = os.path.join(self.dir, "htpasswd")
        with open(path, "w") as f:
            f.write(hash_password(*ANN) + hash_password(*BOB))
        os.chmod(path, 0o600)
        node = self.shoal(up, {"auth": {"htpasswd": path, "rules": [
            {"repositories": ["docker.io/team/**"], "users": ["bob"], "actions": ["pull"]},
            {"repositories": ["docker.io/open/**"], "users": ["anonymous"], "actions": ["pull"]}]}})
        for way in ("/v2/%s/manifests/v1", "/v2/docker.io/%s/manifests/v1", "/docker.io/v2/%s/manifests/v1",
                    "/v2/%s/manifests/v1?ns=docker.io"):
            self.assertEqual(node.get(way % "team/app").status, 401, way)
            self.assertEqual(node.get(way % "team/app", basic(ANN)).status, 403, way)
            self.assertEqual(node.get(way % "team/app", basic(BOB)).status, 200, way)
            self.assertEqual(node.get(way % "open/app").status, 200, way)
        # passwords of ours are nobody else's business
        for request in up.log:
            for user in (ANN, BOB):
                self.assertNotIn(basic(user)["Authorization"], str(request.headers))


class TestDocker(LoginCase):
    def setUp(self):
        super().setUp()
        if clients.skipped("dockerd"):
            self.skipTest("SHOAL_E2E_SKIP lists dockerd")
        self.client = clients.Docker(self.dir)
        self.addCleanup(self.client.stop)

    def login(self, user):
        done = subprocess.run(["docker", "-H", "unix://" + self.client.socket, "login", "-u", user[0],
                               "--password-stdin", self.node.host], input=user[1], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=procs.environment({"DOCKER_CONFIG": self.client.dir + "/home", "DOCKER_HOST": ""}))
        return done.returncode, done.stdout

    def test_login_push_pull(self):
        image = self.push("team/app", images.small_image("docker", docker=True), "v1")
        name, copy = self.node.host + "/team/app:v1", self.node.host + "/team/copy:v2"
        with self.assertRaises(procs.ToolFailed):
            self.client.pull(name)
        code, text = self.login(("ann", "wrong"))
        self.assertNotEqual(code, 0)
        self.assertRegex(text.lower(), "unauthorized|wrong user or password")
        self.assertEqual(self.login(ANN)[0], 0)
        self.client.pull(name)
        self.assertIn(image.digest, self.client.digests(name))
        self.client._docker("tag", name, copy)
        self.client._docker("push", copy)
        self.client.remove(copy)
        self.client.pull(copy)
        self.assertEqual(self.login(BOB)[0], 0)
        with self.assertRaises(procs.ToolFailed) as refused:
            self.client._docker("push", copy)
        self.assertRegex(refused.exception.output.lower(), "denied")


class TestPodman(LoginCase):
    def test_login_push_pull(self):
        if clients.skipped("podman"):
            self.skipTest("SHOAL_E2E_SKIP lists podman")
        client = clients.Podman(self.dir, self.node.host)
        self.addCleanup(client.stop)
        self.push("team/app", images.small_image("podman"), "v1")
        self.push("public/app", images.small_image("public"), "v1")
        name, copy = self.node.host + "/team/app:v1", self.node.host + "/team/copy:v2"
        client.pull(self.node.host + "/public/app:v1")
        with self.assertRaises(procs.ToolFailed):
            client.pull(name)
        login = ("login", "--tls-verify=false", "--authfile", client.dir + "/auth.json")
        with self.assertRaises(procs.ToolFailed) as refused:
            client._call(*login, "-u", "ann", "-p", "wrong", self.node.host)
        self.assertRegex(refused.exception.output.lower(), "invalid username/password|unauthorized")
        client._call(*login, "-u", ANN[0], "-p", ANN[1], self.node.host)
        client.pull(name)
        client._call("tag", name, copy)
        client._call("push", "-q", "--tls-verify=false", "--signature-policy", client.dir + "/policy.json", copy)
        self.assertEqual(self.node.head("/v2/team/copy/manifests/v2", basic(BOB)).status, 200)


class TestSkopeo(LoginCase):
    def test_copies_with_credentials(self):
        if clients.skipped("skopeo"):
            self.skipTest("SHOAL_E2E_SKIP lists skopeo")
        client = clients.Skopeo(self.dir, self.node.host)
        self.addCleanup(client.stop)
        index = self.push("team/app", images.multi_platform("skopeo"), "v1")

        def copy(source, target, source_user, target_user):
            client._call("--policy", client.dir + "/policy.json", "copy", "-q", "--all", "--preserve-digests",
                         "--src-creds", "%s:%s" % source_user, "--dest-creds", "%s:%s" % target_user,
                         "--src-tls-verify=false", "--dest-tls-verify=false", "docker://%s/%s" % (self.node.host, source),
                         "docker://%s/%s" % (self.node.host, target))

        copy("team/app:v1", "other/app:v2", BOB, ANN)
        self.assertEqual(self.node.head("/v2/other/app/manifests/v2", basic(BOB)).headers["docker-content-digest"],
                         index.digest)
        with self.assertRaises(procs.ToolFailed) as refused:
            copy("team/app:v1", "other/app:v3", ANN, BOB)
        self.assertRegex(refused.exception.output.lower(), "denied")
        with self.assertRaises(procs.ToolFailed) as refused:
            copy("team/app:v1", "other/app:v3", ("ann", "wrong"), ANN)
        self.assertRegex(refused.exception.output.lower(), "unauthorized|invalid username")


class TestContainerd(LoginCase):
    def setUp(self):
        super().setUp()
        if clients.skipped("containerd"):
            self.skipTest("SHOAL_E2E_SKIP lists containerd")
        self.client = clients.Containerd(self.dir)
        self.addCleanup(self.client.stop)
        self.image = self.push("team/app", images.small_image("containerd"), "v1")
        self.name = self.node.host + "/team/app:v1"

    def pull(self, *more):
        self.client._ctr("images", "pull", "--plain-http", "--snapshotter", self.client.snapshotter, *more, self.name)

    def test_user_on_the_command_line(self):
        with self.assertRaises(procs.ToolFailed) as refused:
            self.pull()
        self.assertIn("401", refused.exception.output)
        with self.assertRaises(procs.ToolFailed):
            self.pull("--user", "ann:wrong")
        self.pull("--user", "%s:%s" % BOB)
        self.assertEqual(self.client.digests(self.name), [self.image.digest])
        copy = self.node.host + "/team/copy:v2"
        self.client._ctr("images", "tag", self.name, copy)
        self.client._ctr("images", "push", "--plain-http", "--user", "%s:%s" % ANN, copy)
        self.assertEqual(self.node.head("/v2/team/copy/manifests/v2", basic(BOB)).status, 200)
        with self.assertRaises(procs.ToolFailed) as refused:
            self.client._ctr("images", "tag", self.name, self.node.host + "/team/copy:v3")
            self.client._ctr("images", "push", "--plain-http", "--user", "%s:%s" % BOB,
                             self.node.host + "/team/copy:v3")
        self.assertIn("403", refused.exception.output)

    def test_credentials_in_hosts_toml(self):
        folder = "%s/hosts/%s" % (self.client.dir, self.node.host)
        os.makedirs(folder)
        with open(folder + "/hosts.toml", "w") as f:
            f.write('[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n  [host."http://%s".header]\n'
                    '    authorization = "%s"\n' % (self.node.host, self.node.host, basic(BOB)["Authorization"]))
        self.client._ctr("images", "pull", "--hosts-dir", self.client.dir + "/hosts", "--snapshotter",
                         self.client.snapshotter, self.name)
        self.assertEqual(self.client.digests(self.name), [self.image.digest])


class TestPlaintext(case.Case):
    def test_passwords_are_refused_without_tls_from_other_machines(self):
        """In a network namespace: 10.99.0.1 there is ours alone, and no loopback address."""
        script = "ip link set lo up && ip addr add 10.99.0.1/32 dev lo && exec %s -m unittest test_login.OwnNetwork" \
            % sys.executable
        done = subprocess.run(["unshare", "--net", "--", "sh", "-c", script], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=100 * shoal.slow_build(),
                              env={**os.environ, OWN_NETWORK: "1"})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"Ran [1-9]")


@unittest.skipUnless(os.environ.get(OWN_NETWORK), "run by TestPlaintext")
class OwnNetwork(case.Case):
    def node_with(self, **auth):
        path = os.path.join(self.dir, "htpasswd")
        with open(path, "w") as f:
            f.write(hash_password(*ANN))
        os.chmod(path, 0o600)
        node = self.shoal({}, {"server": {"listen": ["127.0.0.1:0", "10.99.0.1:0"]},
                               "auth": {"htpasswd": path, **auth}})
        return node, ("10.99.0.1", node.ports[1])

    def test_refused_by_default(self):
        node, outside = self.node_with()
        answer = wire.get(outside, "/v2/", basic(ANN))
        self.assertIn(answer.status, (401, 403), answer)
        self.assertIn("https", json.dumps(answer.json()))
        self.assertNotIn("www-authenticate", wire.get(outside, "/v2/").headers)  # do not ask for what is refused
        self.assertEqual(wire.get(node.address, "/v2/", basic(ANN)).status, 200)

    def test_taken_when_configured(self):
        _, outside = self.node_with(allow_plaintext=True)
        self.assertEqual(wire.get(outside, "/v2/", basic(ANN)).status, 200)


if __name__ == "__main__":
    unittest.main()
