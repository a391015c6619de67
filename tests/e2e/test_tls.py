"""TLS on server.listen: real clients, renewal under load, client certificates, refusals."""

import hashlib
import os
import shutil
import socket
import ssl
import unittest

from lib import case, clients, images, procs, tls

CURL = ["curl", "-sS", "--noproxy", "*", "--max-time", "30"]


class TlsCase(case.Case):
    tls = {}

    def setUp(self):
        super().setUp()
        self.ca = tls.PrivateCa(self.dir)
        self.cert, self.key = self.ca.issue()
        self.up = self.upstream()
        self.image = self.up.add("team/app", images.small_image("tls"), "v1")
        self.big = self.up.add_blob("team/app", images.random_blob(20 << 20))
        self.mirror = self.shoal(self.up, {"server": {
            "plain_listen": ["127.0.0.1:0"],
            "tls": {"cert": self.cert, "key": self.key, **{k: v.format(ca=self.ca.ca_file)
                                                           for k, v in self.tls.items()}}}}, port_index=1)
        self.host = "localhost:%d" % self.mirror.ports[0]
        self.address = ("127.0.0.1", self.mirror.ports[0])
        self.blob_path = "/v2/team/app/blobs/" + self.big.digest

    def curl(self, path, *options, ca=None):
        return procs.run([*CURL, "--cacert", ca or self.ca.ca_file, *options, "https://%s%s" % (self.host, path)])

    def refused(self, call, *arguments, **more):
        """What the client says when it fails."""
        with self.assertRaises(procs.ToolFailed) as failed:
            call(*arguments, **more)
        return failed.exception.output

    def connect(self, **more):
        context = ssl.create_default_context(cafile=self.ca.ca_file)
        if "identity" in more:
            context.load_cert_chain(*more["identity"])
        sock = context.wrap_socket(socket.create_connection(self.address, timeout=20), server_hostname="localhost")
        self.addCleanup(sock.close)
        return sock

    def serial(self):
        with self.connect() as sock:
            return sock.getpeercert()["serialNumber"]

    def wait_for_log(self, text):
        procs.wait_until(lambda: text in self.mirror.stderr(), 15, "the log to say: " + text)


class TestTls(TlsCase):
    limit = 120

    def test_curl_pulls_and_others_are_refused(self):
        out = os.path.join(self.dir, "blob")
        for _ in range(2):  # cold, and warm from the page cache
            self.curl(self.blob_path, "-f", "-o", out)
            with open(out, "rb") as f:
                self.assertEqual("sha256:" + hashlib.sha256(f.read()).hexdigest(), self.big.digest)
        self.assertIn("HTTP/1.1 200", self.curl("/v2/", "-I"))
        # a CA the client does not know
        os.mkdir(os.path.join(self.dir, "other"))
        other = tls.PrivateCa(os.path.join(self.dir, "other"))
        self.assertIn("certificate", self.refused(self.curl, "/v2/", ca=other.ca_file))
        # TLS 1.1, and no TLS at all
        old = self.refused(self.curl, "/v2/", "--tlsv1.1", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
        self.assertIn("protocol version", old)
        plain = procs.run([*CURL, "-i", "http://%s/v2/" % self.host])
        self.assertIn("400 Bad Request", plain)
        self.assertIn("https://", plain)
        # the additional address stays plain, and the access log tells nothing odd
        self.assertEqual(self.mirror.get("/v2/").status, 200)

    def test_skopeo_and_podman_pull_with_the_ca(self):
        certificates = os.path.join(self.dir, "certs")
        os.mkdir(certificates)
        shutil.copy(self.ca.ca_file, os.path.join(certificates, "ca.crt"))
        empty = os.path.join(self.dir, "empty")
        os.mkdir(empty)
        name = self.host + "/team/app:v1"
        clients.need("skopeo", "podman")
        skopeo = clients.Skopeo(self.dir)
        self.addCleanup(skopeo.stop)
        copy = ["skopeo", "--policy", skopeo.dir + "/policy.json", "copy", "-q", "--src-tls-verify=true"]
        procs.run([*copy, "--src-cert-dir", certificates, "docker://" + name, "dir:" + self.dir + "/copied"],
                  env=clients.DEAD_PROXY)
        with open(self.dir + "/copied/manifest.json", "rb") as f:
            self.assertEqual(images.digest_of(f.read()), self.image.digest)
        self.assertIn("x509", self.refused(
            procs.run, [*copy, "--src-cert-dir", empty, "docker://" + name, "dir:" + self.dir + "/none"],
            env=clients.DEAD_PROXY))
        podman = clients.Podman(self.dir)
        self.addCleanup(podman.stop)
        podman._call("pull", "-q", "--tls-verify=true", "--cert-dir", certificates, "--signature-policy",
                     podman.dir + "/policy.json", name)
        self.assertIn(self.image.digest, podman.digests(name))

    def test_a_renewed_certificate_is_taken_without_cutting_a_download(self):
        before = self.serial()
        download = self.connect()
        download.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % self.blob_path).encode())
        data = bytearray(download.recv(1000))
        cert, key = self.ca.issue("renewed")
        os.replace(cert, self.cert)
        os.replace(key, self.key)
        self.mirror.reload()
        procs.wait_until(lambda: self.serial() != before, 15, "the new certificate")
        while True:
            piece = download.recv(1 << 16)
            if not piece:
                break
            data += piece
        body = bytes(data).split(b"\r\n\r\n", 1)[1]
        self.assertEqual("sha256:" + hashlib.sha256(body).hexdigest(), self.big.digest)

    def test_a_bad_renewal_keeps_the_old_certificate_and_says_so(self):
        before = self.serial()
        with open(self.cert, "w") as f:
            f.write("not a certificate\n")
        self.mirror.reload()
        self.wait_for_log("the old one stays")
        self.assertIn(self.cert, self.mirror.stderr())
        self.assertEqual(self.serial(), before)
        self.ca.issue()  # puts it right
        self.mirror.reload()
        procs.wait_until(lambda: self.serial() != before, 15, "the new certificate")

    def test_tells_when_the_certificate_expires(self):
        self.assertIn("the TLS certificate expires at", self.mirror.stderr())  # it is good for two days
        self.assertGreater(self.mirror.metric("shoal_tls_certificate_expiry_timestamp_seconds"), 1.6e9)


class TestClientCertificates(TlsCase):
    tls = {"client_ca": "{ca}", "client_auth": "required"}

    def test_only_clients_of_the_ca_come_in(self):
        cert, key = self.ca.issue("client")
        self.assertIn("200", self.curl("/v2/", "-I", "--cert", cert, "--key", key))
        self.assertIn("certificate required", self.refused(self.curl, "/v2/", "-I"))
        os.mkdir(os.path.join(self.dir, "other"))
        other = tls.PrivateCa(os.path.join(self.dir, "other"))
        cert, key = other.issue("stranger")
        self.assertIn("alert", self.refused(self.curl, "/v2/", "-I", "--cert", cert, "--key", key))


if __name__ == "__main__":
    unittest.main()
