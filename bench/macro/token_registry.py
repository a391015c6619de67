"""A registry with one image that wants a bearer token for everything, and gives one to anybody who asks."""
import hashlib
import http.server
import json
import os
import threading

from lib import MANIFEST_TYPE, MIB

REPOSITORY = "bench/tokens"
TOKEN = "bench"


class TokenRegistry:
    def __init__(self, address):
        config, layer = b"{}", os.urandom(MIB)
        self.layer = digest_of(layer)
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(config),
                       "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": self.layer,
                        "size": len(layer)}]}).encode()
        base = f"/v2/{REPOSITORY}"
        objects = {"/v2/": (b"{}", "application/json"),
                   f"{base}/manifests/latest": (manifest, MANIFEST_TYPE),
                   f"{base}/manifests/{digest_of(manifest)}": (manifest, MANIFEST_TYPE),
                   f"{base}/blobs/{digest_of(config)}": (config, "application/octet-stream"),
                   f"{base}/blobs/{self.layer}": (layer, "application/octet-stream")}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = self.path.partition("?")[0]
                if path == "/token":
                    self.answer(200, json.dumps({"token": TOKEN, "expires_in": 300}).encode(), "application/json")
                elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    scope = "" if path == "/v2/" else f',scope="repository:{REPOSITORY}:pull"'
                    realm = "http://{}:{}/token".format(*self.server.server_address)
                    self.answer(401, b"{}", "application/json",
                                {"WWW-Authenticate": f'Bearer realm="{realm}",service="bench"{scope}'})
                elif path in objects:
                    body, kind = objects[path]
                    self.answer(200, body, kind, {"Docker-Content-Digest": digest_of(body)})
                else:
                    self.answer(404, b"{}", "application/json")

            do_HEAD = do_GET

            def answer(self, status, body, kind, more=None):
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": len(body), **(more or {})}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.handle_error = lambda *_: None  # caches hang up, too
        self.address, self.port = self.server.server_address
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
