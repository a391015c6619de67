"""Upstreams that ask who we are."""

import os
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import case, fake_auth, fake_parts, images, procs, registry, tls

USER, PASSWORD = "robot$team+pull", "p@ss:word/with \"odd\" bytes"


class AuthCase(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.image = self.up.add("team/app", images.small_image("private"), "v1")
        self.password_file = os.path.join(self.dir, "password")
        with open(self.password_file, "w") as f:
            f.write(PASSWORD + "\n")

    def mirror_with(self, **keys):
        return self.shoal({"docker.io": {"urls": [self.up.url], "retries": 2, **keys}})

    def with_login(self, **keys):
        return self.mirror_with(username=USER, password_file=self.password_file, **keys)

    def assert_secret_nowhere(self, mirror):
        for text in (mirror.stderr(), open(mirror.access_file, errors="replace").read(),
                     mirror.get("/metrics").body.decode()):
            self.assertNotIn(PASSWORD, text)


class TestBasic(AuthCase):
    def setUp(self):
        super().setUp()
        self.up.auth = fake_auth.Basic({USER: PASSWORD})

    def test_password_from_a_file(self):
        mirror = self.with_login()
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.assert_secret_nowhere(mirror)

    def test_password_from_the_environment(self):
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "username": USER, "password_env": "E2E_PASSWORD"}},
                            env={"E2E_PASSWORD": PASSWORD})
        self.assert_pull(mirror, "team/app", "v1", self.image)

    def test_password_from_a_command(self):
        mirror = self.mirror_with(username=USER, password_command="cat " + self.password_file)
        self.assert_pull(mirror, "team/app", "v1", self.image)

    def test_wrong_password_is_503_naming_the_upstream(self):
        with open(self.password_file, "w") as f:
            f.write("wrong")
        mirror = self.with_login()
        self.assert_unavailable(mirror.manifest("team/app", "v1"), "docker.io")
        self.assert_unavailable(mirror.blob("team/app", self.image.blobs[0].digest), "docker.io")
        self.assertIn(mirror.head("/v2/team/app/manifests/v1").status, (503,))
        self.assertIn("REFUSES US (docker.io", mirror.cli("status", "--admin", "127.0.0.1:%d" % mirror.admin_port))

    def test_no_login_for_a_private_registry_is_503_naming_the_upstream(self):
        self.assert_unavailable(self.mirror_with().manifest("team/app", "v1"), "docker.io")

    def test_client_credentials_are_not_passed_upstream(self):
        self.up.auth = None
        mirror = self.mirror_with()
        mirror.manifest("team/app", "v1", headers={"Authorization": "Basic c2VjcmV0OnNlY3JldA=="})
        self.assertEqual([r for r in self.up.requests() if "authorization" in r.headers], [])
        self.assertNotIn("c2VjcmV0OnNlY3JldA", mirror.stderr())


class TestBearer(AuthCase):
    def use(self, **options):
        self.up.auth = fake_auth.Bearer(**options)
        return self.up.auth

    def test_anonymous(self):
        self.use(anonymous=True)
        self.assert_pull(self.mirror_with(), "team/app", "v1", self.image)

    def test_with_credentials(self):
        auth = self.use(users={USER: PASSWORD})
        mirror = self.with_login()
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.assertIn(("repository:team/app:pull", USER), auth.asked)
        self.assert_secret_nowhere(mirror)
        for token in auth.tokens:
            self.assertNotIn(token, mirror.stderr())

    def test_one_token_serves_a_whole_pull_and_a_herd(self):
        auth = self.use(anonymous=True)
        mirror = self.mirror_with()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: mirror.pull("team/app", "v1"), range(16)))
        self.assertEqual(len(auth.asked), 1, auth.asked)

    def test_realm_on_another_port(self):
        realm = self.server(fake_parts.TokenServer())
        auth = self.use(users={USER: PASSWORD}, realm=realm)
        realm.bearer = auth
        self.assert_pull(self.with_login(), "team/app", "v1", self.image)

    def test_access_token_field_and_placeholder_scope(self):
        auth = self.use(anonymous=True, field="access_token", placeholder_scope=True)
        self.assert_pull(self.mirror_with(), "team/app", "v1", self.image)
        self.assertIn("repository:team/app:pull", [scope for scope, _ in auth.asked])

    def test_token_that_expires_between_manifest_and_blob(self):
        self.use(anonymous=True, life=1)
        mirror = self.mirror_with()
        self.assertEqual(mirror.manifest("team/app", "v1").status, 200)
        time.sleep(1.2)
        for blob in self.image.blobs:
            self.assert_sound_blob(mirror.blob("team/app", blob.digest), blob)

    def test_token_that_dies_before_it_promised(self):
        auth = self.use(anonymous=True, life=300)
        mirror = self.mirror_with()
        self.assertEqual(mirror.manifest("team/app", "v1").status, 200)
        auth.revoke_all()
        for blob in self.image.blobs:
            self.assert_sound_blob(mirror.blob("team/app", blob.digest), blob)

    def test_wrong_credentials_are_503_naming_the_upstream(self):
        self.use(users={USER: "another"})
        mirror = self.with_login()
        self.assert_unavailable(mirror.manifest("team/app", "v1"), "docker.io")
        self.assert_unavailable(mirror.blob("team/app", self.image.blobs[0].digest), "docker.io")

    def test_no_credentials_for_a_private_one_is_503(self):
        self.use(users={USER: PASSWORD})
        self.assert_unavailable(self.mirror_with().manifest("team/app", "v1"), "docker.io")

    def test_token_service_that_is_down_is_503_and_cached_things_go_on(self):
        realm = self.server(fake_parts.TokenServer())
        auth = self.use(anonymous=True, realm=realm, life=1)
        realm.bearer = auth
        mirror = self.mirror_with(tag_ttl="0s", revalidate_wait="1s")
        self.assert_pull(mirror, "team/app", "v1", self.image)
        realm.refuse()
        auth.revoke_all()
        with self.within(5):
            self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)
        self.assert_unavailable(mirror.manifest("team/app", "other"), "docker.io")

    def test_token_service_burst_of_errors_is_ridden_out(self):
        self.use(anonymous=True)
        self.up.fault(path="^/token", times=2, status=503)
        mirror = self.mirror_with(retries=5)
        self.assert_pull(mirror, "team/app", "v1", self.image)

    def soon_pulled(self, mirror):
        """A tag that was not asked for yet: a stale answer does not count."""
        self.up.add("team/app", self.image, "v2")

        def pulled():
            return mirror.manifest("team/app", "v2").status == 200

        procs.wait_until(pulled, 20, "an answer", step=0.5)

    def test_token_server_that_moved_is_found_by_the_next_challenge(self):
        first, second = self.server(fake_parts.TokenServer()), self.server(fake_parts.TokenServer())
        first.bearer = second.bearer = self.use(anonymous=True, realm=first, life=1)
        mirror = self.mirror_with(negative_ttl="0s")
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.up.auth.realm = second
        first.refuse()
        time.sleep(1.5)  # the token's life
        self.soon_pulled(mirror)

    def test_upstream_that_wants_tokens_no_more_is_asked_without(self):
        self.use(anonymous=True, life=1)
        mirror = self.mirror_with(negative_ttl="0s")
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.up.auth = None
        time.sleep(1.5)
        self.soon_pulled(mirror)

    def test_credentials_go_to_no_foreign_realm(self):
        realm = self.server(fake_parts.TokenServer(host="127.0.0.2"))
        auth = self.use(users={USER: PASSWORD}, realm=realm)
        realm.bearer = auth
        answer = self.with_login().manifest("team/app", "v1")
        self.assertEqual([r for r in realm.requests() if "authorization" in r.headers], [])
        self.assert_unavailable(answer, "docker.io")

    def test_foreign_realm_that_is_allowed_gets_the_credentials(self):
        realm = self.server(fake_parts.TokenServer(host="127.0.0.2"))
        auth = self.use(users={USER: PASSWORD}, realm=realm)
        realm.bearer = auth
        self.assert_pull(self.with_login(auth_realms=["127.0.0.2"]), "team/app", "v1", self.image)

    def test_foreign_realm_without_login_is_fine(self):
        realm = self.server(fake_parts.TokenServer(host="127.0.0.2"))
        auth = self.use(anonymous=True, realm=realm)
        realm.bearer = auth
        self.assert_pull(self.mirror_with(), "team/app", "v1", self.image)

    def test_repositories_have_their_own_tokens(self):
        auth = self.use(anonymous=True)
        other = self.up.add("team/other", images.small_image("other"), "v1")
        mirror = self.mirror_with()
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.assert_pull(mirror, "team/other", "v1", other)
        self.assertEqual({scope for scope, _ in auth.asked}, {"repository:team/app:pull", "repository:team/other:pull"})

    def test_fixed_token_from_a_file(self):
        auth = self.use()
        auth.tokens["fixed-token"] = (["repository:team/app:pull"], time.monotonic() + 1000)
        path = os.path.join(self.dir, "token")
        with open(path, "w") as f:
            f.write("fixed-token\n")
        self.assert_pull(self.mirror_with(token_file=path), "team/app", "v1", self.image)


class TestRealRegistry(AuthCase):
    def test_htpasswd_and_tls_with_a_private_ca(self):
        ca = tls.PrivateCa(self.dir)
        up = registry.Registry(self.dir, users={"me": "secret"}, ca=ca)
        self.addCleanup(up.stop)
        up.push("team/real", self.image, "v1")
        with open(self.password_file, "w") as f:
            f.write("secret")
        mirror = self.shoal({"docker.io": {"urls": [up.url], "username": "me", "password_file": self.password_file,
                                           "ca_file": ca.ca_file}})
        self.assert_pull(mirror, "team/real", "v1", self.image)


if __name__ == "__main__":
    unittest.main()
