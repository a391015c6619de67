"""A private CA and server certificates for one test."""

import os
import ssl

from . import procs


class PrivateCa:
    def __init__(self, directory):
        self.directory = directory
        self.ca_file = os.path.join(directory, "ca.pem")
        self._key = os.path.join(directory, "ca.key")
        procs.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                   "2", "-subj", "/CN=shoal e2e CA", "-keyout", self._key, "-out", self.ca_file])

    def issue(self, name="server", addresses=("IP:127.0.0.1", "DNS:localhost"), days=2):
        """Returns (certificate file, key file). `days` 0: expires at once."""
        base = os.path.join(self.directory, name)
        procs.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                   "/CN=" + name, "-keyout", base + ".key", "-out", base + ".csr"])
        with open(base + ".ext", "w") as f:
            f.write("subjectAltName=" + ",".join(addresses) + "\n")
        procs.run(["openssl", "x509", "-req", "-in", base + ".csr", "-CA", self.ca_file, "-CAkey", self._key,
                   "-CAcreateserial", "-days", str(days), "-extfile", base + ".ext", "-out", base + ".pem"])
        return base + ".pem", base + ".key"

    def server_context(self, name="server", addresses=("IP:127.0.0.1", "DNS:localhost")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, addresses))
        return context
