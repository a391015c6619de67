"""A site with certificates: nodes call each other over https and show a certificate of the operator's CA."""

import json
import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

from lib import procs, tls
from lib.layers import LayerCase
from lib.site import Neighbour, Site, seal_request

MB = 1 << 20
TAG = "/p2p/v1/tags?repository=docker.io%2Fteam%2Fapp&tag=v1"


class CertificateCase(LayerCase):
    limit = 120

    def setUp(self):
        super().setUp()
        self.ca = self.private_ca("ca")

    def private_ca(self, name):
        os.mkdir(os.path.join(self.dir, name))
        return tls.PrivateCa(os.path.join(self.dir, name))

    def site(self, count, server_tls=None, **more):
        def each(number):
            cert, key = self.ca.issue("node%d" % number)
            return {"server": {"plain_listen": ["127.0.0.1:0"], "tls": {"cert": cert, "key": key, **(server_tls or {})}},
                    "p2p": {"client_cert": cert, "client_key": key, "ca_file": self.ca.ca_file}}
        return Site(self, self.up, count, each=each, port_index=1, **more)

    def secure(self, node):
        return "127.0.0.1", node.ports[0]

    def context(self, identity=None):
        context = ssl.create_default_context(cafile=self.ca.ca_file)
        if identity:
            context.load_cert_chain(*identity)
        return context

    def refused(self, node, why):
        return node.metric('shoal_p2p_refused_total{why="%s"}' % why)


class TestCertificates(CertificateCase):
    def test_one_copy_over_https_as_pieces_and_as_a_whole(self):
        pieces, whole = self.add_layer(6 * MB), self.add_layer(MB)
        self.up.fault(path=pieces.digest, rate=4 * MB)
        site = self.site(3)
        self.know(site, pieces, whole)
        for layer in (pieces, whole):
            with ThreadPoolExecutor(3) as pool:
                for answer in pool.map(lambda node, layer=layer: node.get(self.path(layer)), site):
                    self.assert_sound_blob(answer, layer)
            self.assertEqual(self.gets(layer), 1)
        for node in site:
            peers = procs.run(["curl", "-sS", "http://127.0.0.1:%d/api/v1/peers" % node.admin_port])
            self.assertIn("https://127.0.0.1", peers)
            self.assertNotIn("http://127.0.0.1", peers)
            self.assertEqual(self.refused(node, "certificate"), 0)

    def test_the_secret_alone_is_not_enough(self):
        self.add_layer(100_000)
        site = self.site(1, trackers=1)
        node = site[0]
        self.assertEqual(node.manifest("team/app", "v1").status, 200)
        knows, guesses = Neighbour(), Neighbour(secret="another secret than theirs")
        member = self.ca.issue("member")
        stranger = self.private_ca("other").issue("stranger")
        expired = self.ca.issue("expired", days=0)
        time.sleep(1.1)

        def call(caller, identity, address=None, secured=True):
            return caller.call(address or self.secure(node), "GET", TAG,
                               tls=self.context(identity) if secured else None)[0]

        self.assertEqual(call(knows, member), 200)
        self.assertEqual(call(knows, None), 403)
        self.assertEqual(call(knows, stranger), 403)
        self.assertEqual(call(knows, expired), 403)
        self.assertEqual(call(knows, None, node.address, secured=False), 403)  # plain_listen
        self.assertEqual(self.refused(node, "certificate"), 4)
        self.assertIn("shows no certificate of p2p.ca_file", node.stderr())
        self.assertEqual(call(guesses, member), 403)
        self.assertEqual(self.refused(node, "seal"), 1)
        # Clients are not asked for more than before.
        for identity in (None, stranger, member):
            answer = Neighbour().call(self.secure(node), "GET", "/v2/", seal=False, tls=self.context(identity))
            self.assertEqual(answer[0], 200)

    def test_a_resumed_session_is_what_it_was(self):
        site = self.site(1, trackers=1)
        for identity, wanted in ((self.ca.issue("member"), "404"), (self.private_ca("other").issue("x"), "403")):
            context = self.context(identity)
            session = None
            for resumed in (False, True):
                with context.wrap_socket(socket.create_connection(self.secure(site[0]), timeout=10),
                                         server_hostname="127.0.0.1", session=session) as sock:
                    host = "127.0.0.1:%d" % site[0].ports[0]
                    seal, _ = seal_request("GET", host, TAG, "0" * 32)
                    sock.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nShoal-Seal: %s\r\nConnection: close\r\n\r\n" %
                                  (TAG, host, seal)).encode())
                    answer = b""
                    while chunk := sock.recv(65536):
                        answer += chunk
                    self.assertEqual(answer.split()[1].decode(), wanted)
                    self.assertEqual(sock.session_reused, resumed)
                    session = sock.session

    def test_clients_of_another_ca_do_not_become_members(self):
        clients = self.private_ca("clients")
        site = self.site(2, {"client_ca": clients.ca_file, "client_auth": "required"})  # its nodes find each other
        client = self.context(clients.issue("client"))
        call = Neighbour().call
        self.assertEqual(call(self.secure(site[0]), "GET", "/v2/", seal=False, tls=client)[0], 200)
        self.assertEqual(call(self.secure(site[0]), "GET", TAG, tls=client)[0], 403)
        self.assertEqual(self.refused(site[0], "certificate"), 1)
        with self.assertRaises(OSError):
            call(self.secure(site[0]), "GET", "/v2/", seal=False, tls=self.context())

    def test_a_node_without_certificates_stays_outside(self):
        site = self.site(1, trackers=1)
        plain = self.shoal(self.up, {"p2p": {**site.p2p, "trackers": ["https://127.0.0.1:%d" % site.ports[0]],
                                             "ca_file": self.ca.ca_file}}, name="plain")
        procs.wait_until(lambda: self.refused(site[0], "certificate") >= 1, 15, "its call to be refused")
        self.assertEqual(site[0].metric("shoal_p2p_peers"), 0)
        # Nor does one come in that shows a certificate, but is to be called over http.
        caller = Neighbour()
        for scheme, wanted in (("http", 400), ("https", 200)):
            body = json.dumps({"node": {"id": caller.id, "url": scheme + "://127.0.0.1:1", "zone": "", "port": 0},
                               "fetching": [], "have": [], "gone": [], "seen": 0, "leaving": False}).encode()
            status, answer = caller.call(self.secure(site[0]), "POST", "/p2p/v1/announce", body,
                                         tls=self.context(self.ca.issue("member")))
            self.assertEqual(status, wanted, answer)
        layer = self.add_layer(100_000)
        self.assert_sound_blob(plain.get(self.path(layer)), layer)

    def test_sighup_reads_renewed_files(self):
        site = self.site(2)
        renewed = self.private_ca("renewed")
        member = renewed.issue("member")

        def call():
            return Neighbour().call(self.secure(site[0]), "GET", TAG, tls=self.context(member))[0]

        self.assertEqual(call(), 403)
        with open(self.ca.ca_file, "a") as bundle, open(renewed.ca_file) as more:
            bundle.write(more.read())
        site[0].reload()
        procs.wait_until(lambda: call() == 404, 15, "the new CA to count")
        # A new certificate of a node, of the new CA, in place of the old.
        cert, key = renewed.issue("node1")
        for made, old in ((cert, "node1.pem"), (key, "node1.key")):
            os.replace(made, os.path.join(self.dir, "ca", old))
        site[1].reload()
        layer = self.add_layer(100_000)
        self.assert_pull(site[0], "team/app", "v1", self.manifest)
        time.sleep(1.5)
        self.assert_sound_blob(site[1].get(self.path(layer)), layer)
        self.assertEqual(self.gets(layer), 1)


if __name__ == "__main__":
    import unittest
    unittest.main()
