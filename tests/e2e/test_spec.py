"""What the distribution specification asks for and neither conformance program looks at (tests/conformance/README.md
lists where each point is tested): edges of ranges, errors, warnings, and referrers of mirrored repositories."""

import http.client
import json
import os
import re
import unittest

from lib import case, images, wire
from test_login import ANN, BOB, basic, hash_password
from test_push import PushCase

# The specification's codes, and RANGE_INVALID, which docker-registry added.
CODES = {"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
         "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED",
         "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "RANGE_INVALID"}


def artifact(subject=None, kind="application/vnd.test.sbom", config="application/vnd.oci.empty.v1+json", name="x"):
    """A manifest without blobs of its own."""
    empty = images.Blob(b"{}", config)
    body = {"schemaVersion": 2, "mediaType": images.OCI_MANIFEST, "config": empty.descriptor(), "layers": [],
            "annotations": {"name": name}}
    if kind:
        body["artifactType"] = kind
    if subject:
        body["subject"] = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
    return images.Manifest(images.render(body), images.OCI_MANIFEST, [empty])


def listed(answer):
    return {each["digest"]: each for each in answer.json()["manifests"]}


class TestRanges(PushCase):
    def test_edges(self):
        data = images.random_bytes(5000)
        hosted = self.path("blobs/" + self.push(data))
        for headers, status, body in (({"Range": "lines=1-2"}, 200, data), ({"Range": "bytes=0-9,20-"}, 206, None),
                                      ({"Range": "bytes=10-19", "If-Range": '"other"'}, 200, data),
                                      ({"Range": "bytes=-10"}, 206, data[-10:])):
            answer = self.ask("GET", hosted, headers=headers)
            self.assertEqual(answer.status, status, headers)
            if body:
                self.assertEqual(answer.body, body)
        head = self.ask("HEAD", hosted, headers={"Range": "bytes=0-9"})  # a range is for GET alone
        self.assertEqual((head.status, head.headers["content-length"]), (200, "5000"))
        self.assertNotIn("content-range", head.headers)

    def test_416_leaves_the_connection_in_step(self):
        path = self.path("blobs/" + self.push(b"12345"))
        connection = http.client.HTTPConnection(*self.node.address, timeout=20)
        self.addCleanup(connection.close)
        for _ in range(3):
            connection.request("GET", path, headers={"Range": "bytes=5-"})
            answer = connection.getresponse()
            body = answer.read()
            self.assertEqual((answer.status, answer.headers["content-range"]), (416, "bytes */5"))
            self.assertEqual(len(body), int(answer.headers["content-length"]))
            kept = connection.sock
            self.assertIsNotNone(kept, "closed")
            connection.request("GET", path)
            self.assertIs(connection.sock, kept)
            self.assertEqual(connection.getresponse().read(), b"12345")


class TestErrors(case.Case):
    def setUp(self):
        super().setUp()
        passwords = os.path.join(self.dir, "htpasswd")
        with open(passwords, "w") as f:
            f.write(hash_password(*ANN) + hash_password(*BOB))
        os.chmod(passwords, 0o600)
        self.up = self.upstream()
        self.node = self.shoal(self.up, {"hosted": ["team/**"], "registry": {"immutable_tags": ["team/app:v*"]},
                                         "server": {"limits": {"uri_bytes": "1KiB", "header_bytes": "4KiB"}},
                                         "auth": {"htpasswd": passwords, "rules": [
                                             {"repositories": ["**"], "users": ["ann"]}]}})

    def ask(self, method, path, body=None, user=ANN, **headers):
        connection = http.client.HTTPConnection(*self.node.address, timeout=20)
        self.addCleanup(connection.close)
        connection.request(method, path, body, {**(basic(user) if user else {}), **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def test_every_4xx_has_a_code_of_the_specification(self):
        unknown = images.digest_of(b"unknown")
        config = images.Blob(b"{}", images.OCI_CONFIG)
        self.assertEqual(self.ask("POST", "/v2/team/app/blobs/uploads/?digest=" + config.digest, config.data)[0], 201)
        manifests = [images.render({"schemaVersion": 2, "mediaType": images.OCI_MANIFEST, "layers": [],
                                    "config": config.descriptor(), "annotations": {"n": n}}) for n in "ab"]
        put = {"Content-Type": images.OCI_MANIFEST}
        self.assertEqual(self.ask("PUT", "/v2/team/app/manifests/v1", manifests[0], **put)[0], 201)
        location = self.ask("POST", "/v2/team/app/blobs/uploads/")[1]["location"]
        seen = set()
        for status, method, path, more in (
                (400, "PUT", location + "?digest=sha256:short", {"body": b"x"}),
                (400, "PUT", "/v2/team/app/manifests/x", {"body": b"not JSON", **put}),
                (400, "GET", "/v2/team/app/referrers/sha256:short", {}),
                (400, "GET", "/v2/docker.io/team/app/referrers/sha256:short", {}),
                (400, "GET", "/v2/team/app/tags/list?n=many", {}),
                (401, "GET", "/v2/team/app/tags/list", {"user": None}),
                (401, "GET", "/v2/team/app/tags/list", {"user": ("ann", "wrong")}),
                (403, "GET", "/v2/team/app/tags/list", {"user": BOB}),
                (404, "GET", "/v2/team/app/manifests/none", {}),
                (404, "GET", "/v2/team/app/manifests/" + unknown, {}),
                (404, "GET", "/v2/team/app/blobs/" + unknown, {}),
                (404, "GET", "/v2/team/none/tags/list", {}),
                (404, "GET", "/v2/team/app/blobs/uploads/none", {}),
                (404, "DELETE", "/v2/team/app/blobs/" + unknown, {}),
                (404, "GET", "/v2/library/x/manifests/none", {}),
                (404, "GET", "/v2/library/x/manifests/" + unknown, {}),
                (404, "GET", "/v2/library/x/blobs/" + unknown, {}),
                (404, "GET", "/v2/library/x/tags/list", {}),
                (404, "GET", "/v2/unknown.test/x/manifests/1", {}),
                (404, "GET", "/v2/team/app/what/ever", {}),
                (405, "PUT", "/v2/library/x/manifests/1", {"body": b"{}"}),
                (405, "POST", "/v2/team/app/manifests/1", {"body": b"{}"}),
                (405, "DELETE", "/v2/team/app/blobs/" + config.digest, {}),
                (409, "PUT", "/v2/team/app/manifests/v1", {"body": manifests[1], **put}),
                (414, "GET", "/v2/team/" + "a" * 2000, {}),
                (416, "PATCH", location, {"body": b"x", "Content-Range": "9-9"}),
                (416, "GET", "/v2/team/app/blobs/" + config.digest, {"Range": "bytes=100-"}),
                (431, "GET", "/v2/", {"X": "y" * 5000})):
            with self.subTest("%s %s %s" % (status, method, path[:60])):
                got, headers, body = self.ask(method, path, **more)
                self.assertEqual(got, status, body)
                self.assertEqual(headers["content-type"], "application/json")
                for error in json.loads(body)["errors"]:
                    self.assertIn(error["code"], CODES)
                    self.assertTrue(error["message"])
                seen.add(got)
        self.assertEqual(seen, {400, 401, 403, 404, 405, 409, 414, 416, 431})


class TestWarnings(case.Case):
    def test_form_and_size(self):
        up = self.upstream()
        up.add("team/app", images.small_image("w"), "v1")
        node = self.shoal({"docker.io": {"urls": [up.url], "tag_ttl": "0s"}})
        up.fault("GET", "/manifests/", headers={"Warning": '299 - "this image is old"'})
        self.assertEqual(node.manifest("team/app", "v1").headers["warning"], '299 - "this image is old"')
        up.heal()
        up.fault(status=500, body=b'{"errors":[{"code":"UNKNOWN","message":"\\"' + b"x" * 9000 + b'\\u00e4"}]}')
        stale = node.manifest("team/app", "v1")
        self.assertEqual(stale.status, 200)
        self.assertRegex(stale.headers["warning"], r'^299 - "[ !#-\[\]-~]+"$')
        self.assertLess(len(stale.headers["warning"]), 4096)


class TestMirroredReferrers(case.Case):
    """An upstream without the API, as docker-registry 2.8 and many others."""

    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.image = images.small_image("signed")
        self.up.add("team/app", self.image, "v1")
        self.tag = self.image.digest.replace(":", "-")
        self.node = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "1h", "negative_ttl": "1h"}})

    def referrers(self, query="", digest=None):
        return self.node.get("/v2/team/app/referrers/" + (digest or self.image.digest) + query)

    def sign(self):
        sbom = artifact(self.image)
        index = images.render({"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [
            {"mediaType": sbom.media_type, "digest": sbom.digest, "size": sbom.size,
             "artifactType": "application/vnd.test.sbom", "annotations": {"name": "x"}}]})
        signature = artifact(kind=None, config="application/vnd.test.config", name="signature")
        self.up.add("team/app", sbom)
        self.up.add("team/app", images.Manifest(index, images.OCI_INDEX), self.tag)
        self.up.add("team/app", signature, self.tag + ".sig")
        return sbom, signature

    def test_fallback_and_cosign_tags_are_one_list(self):
        sbom, signature = self.sign()
        answer = self.referrers()
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, images.OCI_INDEX))
        self.assertEqual(set(listed(answer)), {sbom.digest, signature.digest})
        self.assertEqual(listed(answer)[signature.digest], {
            "mediaType": images.OCI_MANIFEST, "digest": signature.digest, "size": signature.size,
            "artifactType": "application/vnd.test.config", "annotations": {"name": "signature"}})
        some = self.referrers("?artifactType=application/vnd.test.sbom")
        self.assertEqual(some.headers["oci-filters-applied"], "artifactType")
        self.assertEqual(list(listed(some)), [sbom.digest])
        self.up.refuse()  # what is listed is here by now, and the list too
        self.assertEqual(set(listed(self.referrers())), {sbom.digest, signature.digest})
        self.assert_sound_manifest(self.node.manifest("team/app", signature.digest), signature)

    def test_empty_is_empty_and_asked_once(self):
        answer = self.referrers()
        self.assertEqual((answer.status, answer.json()["manifests"]), (200, []))
        asked = self.up.count()
        self.assertEqual(self.up.count(None, "referrers|manifests/sha256-"), 5)
        for query in ("", "?artifactType=a/b"):
            self.assertEqual(self.referrers(query).json()["manifests"], [])
        self.assertEqual(self.up.count(), asked)

    def test_an_error_is_never_an_empty_list(self):
        self.node = self.shoal({"docker.io": {"urls": [self.up.url], "negative_ttl": "0s"}}, name="strict")
        self.sign()
        for path in ("referrers", r"manifests/sha256-\w+$", r"manifests/sha256-\w+\.att"):
            fault = self.up.fault(path=path, status=500)
            self.assert_unavailable(self.referrers(), "docker.io")
            fault.remove()
        self.assertEqual(len(listed(self.referrers())), 2)

    def test_what_is_held_survives_an_outage_and_a_restart(self):
        sbom, signature = self.sign()
        self.assertEqual(len(listed(self.referrers())), 2)
        self.node.stop()
        self.node.config["upstreams"]["docker.io"].update({"tag_ttl": "0s", "negative_ttl": "0s"})
        self.node.write_config()
        self.up.refuse()
        self.node.start()
        answer = self.referrers()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(set(listed(answer)), {sbom.digest, signature.digest})
        self.assertIn("stale", answer.headers["warning"])
        self.assert_unavailable(self.referrers(digest=images.digest_of(b"another")), "docker.io")


class TestReferrersOfAHostedUpstream(PushCase):
    """Through a mirror of a node that has the API: lists, filters and pages are its own."""

    def setUp(self):
        super().setUp()
        self.mirror = self.shoal(self.node, name="mirror")

    def test_lists_filters_and_pages(self):
        config = self.push(b"{}")
        subject = images.Manifest(self.manifest(config), images.OCI_MANIFEST)
        self.assertEqual(self.put("v1", subject.data).status, 201)
        descriptor = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
        pushed = set()
        for n in range(9):
            data = self.manifest(config, subject=descriptor, artifactType="test/%d" % (n % 3),
                                 annotations={"k": chr(97 + n) * 490_000})
            self.assertEqual(self.put(images.digest_of(data), data).status, 201)
            pushed.add(images.digest_of(data))
        for query, expected in (("", 9), ("?artifactType=test/1", 3), ("?artifactType=none", 0)):
            found, pages, path = {}, 0, self.path("referrers/" + subject.digest) + query
            while path:
                answer = self.mirror.get(path)
                self.assertEqual(answer.status, 200, answer)
                self.assertLess(len(answer.body), 4 << 20)
                found.update(listed(answer))
                pages += 1
                link = re.match(r"<(.*)>; rel=\"next\"$", answer.headers.get("link", ""))
                path = link and link.group(1)
                self.assertEqual(answer.headers.get("oci-filters-applied"), "artifactType" if query else None)
            self.assertEqual(len(found), expected)
            self.assertLessEqual(set(found), pushed)
            self.assertEqual(pages, 2 if expected == 9 else 1)


class TestHostedFallback(PushCase):
    def test_fallback_tag_is_merged(self):
        config = self.push(b"{}")
        subject = images.Manifest(self.manifest(config), images.OCI_MANIFEST)
        descriptor = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
        by_subject = self.manifest(config, subject=descriptor, artifactType="test/a")
        by_tag = self.manifest(config, artifactType="test/b")
        elsewhere = self.manifest(config, subject={**descriptor, "digest": images.digest_of(b"another")})
        for data in (subject.data, by_subject, by_tag, elsewhere):
            self.assertEqual(self.put(images.digest_of(data), data).status, 201)
        index = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [
            {"mediaType": images.OCI_MANIFEST, "digest": images.digest_of(data), "size": len(data)}
            for data in (by_subject, by_tag, elsewhere)]}
        tag = subject.digest.replace(":", "-")
        self.assertEqual(self.put(tag, images.render(index), images.OCI_INDEX).status, 201)
        answer = wire.get(self.node.address, self.path("referrers/" + subject.digest))
        self.assertEqual(set(listed(answer)), {images.digest_of(by_subject), images.digest_of(by_tag)})
        self.assertEqual(listed(answer)[images.digest_of(by_tag)]["artifactType"], "test/b")
        self.assertEqual(wire.get(self.node.address, self.path("manifests/" + tag)).json(), index)  # still a tag


if __name__ == "__main__":
    unittest.main()
