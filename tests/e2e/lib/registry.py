"""Debian's docker-registry on a free loopback port with a directory of its own, and pushing to any registry."""

import base64
import http.client
import os
import re
import ssl
import subprocess
import urllib.parse

from . import images, procs


class Registry:
    """`users`: {name: password} turns Basic on. `ca`: a tls.PrivateCa turns TLS on."""

    def __init__(self, directory, users=None, ca=None, name="registry"):
        self.directory = os.path.join(directory, name)
        os.makedirs(os.path.join(self.directory, "data"), exist_ok=True)
        self.users, self.ca = users or {}, ca
        self.port = 0
        self._start()

    def _start(self):
        config = ["version: 0.1", "log: {level: info, accesslog: {disabled: false}}",
                  "storage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}}" % self.directory,
                  "http:", "  addr: 127.0.0.1:%d" % self.port, "  secret: e2e"]
        if self.ca:
            certificate, key = self.ca.issue("registry")
            config.append("  tls: {certificate: %s, key: %s}" % (certificate, key))
        if self.users:
            path = os.path.join(self.directory, "htpasswd")
            with open(path, "w") as f:
                for user, password in self.users.items():
                    f.write("%s:%s\n" % (user, bcrypt(password)))
            config.append("auth: {htpasswd: {realm: e2e, path: %s}}" % path)
        config_file = os.path.join(self.directory, "config.yml")
        with open(config_file, "w") as f:
            f.write("\n".join(config) + "\n")
        log = os.path.join(self.directory, "log")
        seen = os.path.getsize(log) if os.path.exists(log) else 0
        self.daemon = procs.Daemon(["docker-registry", "serve", config_file], log)

        def listening():
            if not self.daemon.alive():
                raise AssertionError("docker-registry did not start:\n" + self.daemon.log())
            return re.search(r"listening on 127\.0\.0\.1:(\d+)", self.daemon.log()[seen:])

        self.port = int(procs.wait_until(listening, 10, "docker-registry to listen").group(1))

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def host(self):
        return "127.0.0.1:%d" % self.port

    @property
    def url(self):
        return ("https://" if self.ca else "http://") + self.host

    def requests(self):
        """(method, path, status) of all requests so far, from its access log."""
        return [(m.group(1), m.group(2), int(m.group(3))) for m in
                re.finditer(r'"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/[\d.]+" (\d+)', self.daemon.log())]

    def push(self, repository, manifest, *tags):
        user = next(iter(self.users.items()), None)
        context = ssl.create_default_context(cafile=self.ca.ca_file) if self.ca else None
        push(self.address, repository, manifest, tags, user, context)

    def stop(self):
        self.daemon.stop(5)

    def restart(self):
        self._start()


def bcrypt(password):
    """htpasswd entry without apache2-utils: crypt(3) knows bcrypt on Debian."""
    script = ("import crypt,sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))")
    done = subprocess.run(["python3", "-W", "ignore", "-c", script, password], stdout=subprocess.PIPE, text=True,
                          check=True, timeout=20)
    # crypt writes $2b$; Go's bcrypt takes it as it is.
    return done.stdout.strip()


def push(address, repository, manifest, tags=(), user=None, tls_context=None):
    """Pushes a manifest with all below it. The last tag list may be empty: then by digest only."""
    if tls_context:
        connection = http.client.HTTPSConnection(*address, timeout=60, context=tls_context)
    else:
        connection = http.client.HTTPConnection(*address, timeout=60)
    base_headers = {}
    if user:
        base_headers["Authorization"] = "Basic " + base64.b64encode(("%s:%s" % user).encode()).decode()

    def call(method, path, body=None, headers=None, expect=(200, 201, 202, 404)):
        connection.request(method, path, body, {**base_headers, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in expect:
            raise AssertionError("%s %s: %d %s" % (method, path, answer.status, text[:500]))
        return answer

    try:
        for blob in manifest.all_blobs():
            if call("HEAD", "/v2/%s/blobs/%s" % (repository, blob.digest)).status == 200:
                continue
            start = call("POST", "/v2/%s/blobs/uploads/" % repository, expect=(202,))
            location = urllib.parse.urlsplit(start.getheader("Location"))
            query = location.query + ("&" if location.query else "") + "digest=" + blob.digest
            call("PUT", location.path + "?" + query, blob.data,
                 {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}, (201,))
        for each in manifest.all_manifests():
            references = [each.digest] if each is not manifest or not tags else tags
            for reference in references:
                call("PUT", "/v2/%s/manifests/%s" % (repository, reference), each.data,
                     {"Content-Type": each.media_type}, (201,))
    finally:
        connection.close()


def push_many_tags(address, repository, count=250):
    manifest = images.small_image("tags", layers=1, layer_size=100)
    push(address, repository, manifest, ["v%03d" % i for i in range(count)])
    return manifest
