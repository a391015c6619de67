#!/usr/bin/env python3
"""TLS: a warm layer's bytes per second and server CPU per byte, and handshakes per second, full and resumed, against
nginx with the same certificate, file and cipher (TLS 1.3, TLS_AES_128_GCM_SHA256), in one run."""
import hashlib
import http.client
import json
import pathlib
import ssl
import subprocess

from lib import MIB, Bench, Content, arguments, build_tool, free_port, main, median, pull_through

CIPHER = "TLS_AES_128_GCM_SHA256"
CONNECTIONS = (1, 8)


def certificate(directory):
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", str(key), "-out", str(cert)], stderr=subprocess.DEVNULL, check=True)
    return cert, key


def kernel_tls():
    """Whether the kernel has the `tls` protocol, which both could leave encryption to."""
    known = pathlib.Path("/proc/sys/net/ipv4/tcp_available_ulp")
    subprocess.run(["sh", "-c", "modprobe tls"], stderr=subprocess.DEVNULL, check=False)
    return known.exists() and "tls" in known.read_text().split()


class Servers:
    def __init__(self, bench, content, upstream):
        cert, key = certificate(bench.directory)
        self.ktls = kernel_tls()
        nginx_port, shoal_port, plain = free_port(), free_port(), free_port()
        # Sessions: tickets, as Shoal's. KTLS does nothing where kernel or OpenSSL cannot.
        nginx = bench.nginx(content.static_root, server=f"""
    listen 127.0.0.1:{nginx_port} ssl reuseport; ssl_certificate {cert}; ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_conf_command Ciphersuites {CIPHER}; ssl_conf_command Options KTLS;
    ssl_session_tickets on; ssl_buffer_size 16k; output_buffers 2 128k;""")
        shoal = bench.shoal(upstream, port=plain, server={
            "plain_listen": [f"127.0.0.1:{plain}"], "listen": [f"127.0.0.1:{shoal_port}"],
            "tls": {"cert": str(cert), "key": str(key)}})
        self.port = {nginx: nginx_port, shoal: shoal_port}
        self.nginx, self.shoal, self.both = nginx, shoal, [nginx, shoal]

    def in_turn(self, number):
        return self.both if number % 2 == 0 else self.both[::-1]


def check(servers, path, digest):
    """The layer once through each, decrypted and hashed; that it comes by the cipher compared."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for server in servers.both:
        connection = http.client.HTTPSConnection("127.0.0.1", servers.port[server], timeout=120, context=context)
        connection.request("GET", path)
        hashed, answer = hashlib.sha256(), connection.getresponse()
        while piece := answer.read(MIB):
            hashed.update(piece)
        connection.close()
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise SystemExit(f"{server.name}: wrong bytes over TLS")


def load(program, servers, server, path, **flags):
    before = server.cpu_seconds()
    command = [program, "--port", str(servers.port[server]), "--cipher", CIPHER]
    for flag, value in flags.items():
        command += [f"--{flag}", str(value)]
    done = subprocess.run([*command, path], stdout=subprocess.PIPE, check=False, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    if result["errors"] or (result["cipher"] not in ("", CIPHER)):
        raise SystemExit(f"{server.name}: {result['errors']} failed, first: {result['first_error']}; {result['cipher']}")
    result["server_cpu_seconds"] = server.cpu_seconds() - before
    return result


def compare(bench, what, unit, values, wanted):
    """One row; values: {name: [(rate, cpu)]}."""
    rate = {name: median([v[0] for v in samples]) for name, samples in values.items()}
    cpu = {name: median([v[1] for v in samples]) for name, samples in values.items()}
    bench.row(**{"what": what, "unit": unit, "nginx": rate["nginx"], "shoal": rate["shoal"],
                 f"ratio ({wanted[0]})": rate["shoal"] / rate["nginx"], "nginx CPU": cpu["nginx"],
                 "shoal CPU": cpu["shoal"], f"CPU ratio ({wanted[1]})": cpu["shoal"] / cpu["nginx"],
                 "nginx range": spread(values["nginx"]), "shoal range": spread(values["shoal"])})


def spread(samples):
    return f"{min(v[0] for v in samples):.0f}-{max(v[0] for v in samples):.0f}"


def run():
    options = arguments(__doc__)
    rounds, seconds, size = (2, 1.5, 256) if options.quick else (7, 4, 1024)
    program = build_tool("tls_drain", "-lssl", "-lcrypto", "-lpthread")
    wanted = (">= 0.9", "<= 1.11")
    with Bench("tls", options) as bench:
        content = Content(bench.directory)
        _, layer, _ = content.image("bench/tls", "latest", size * MIB)
        path = f"/v2/bench/tls/blobs/{layer}"
        servers = Servers(bench, content, bench.registry(content.registry_root, "upstream"))
        pull_through(servers.shoal, "bench/tls", "latest", layer)
        check(servers, path, layer)
        bench.note(f"one {size} MiB layer, page cache warm; TLS 1.3, {CIPHER}, P-256 certificate; medians of {rounds} "
                   f"interleaved rounds of {seconds} s; client: tools/tls_drain, which drops bodies undecrypted")
        bench.note("CPU of layers: ps a byte; of handshakes: us each, its connection and one request (GET /v2/) included; "
                   f"kernel TLS: {'there' if servers.ktls else 'not in this kernel'}")
        for connections in CONNECTIONS:
            values = {}
            for number in range(rounds):
                for server in servers.in_turn(number):
                    got = load(program, servers, server, path, connections=connections, seconds=seconds)
                    values.setdefault(server.name, []).append(
                        (got["bytes"] / got["seconds"] / MIB, got["server_cpu_seconds"] / got["bytes"] * 1e12))
            compare(bench, f"layer, {connections} connections", "MiB/s", values, wanted)
        for mode in ("full", "resumed"):
            values = {}
            for number in range(rounds):
                for server in servers.in_turn(number):
                    got = load(program, servers, server, "/v2/", connections=8, seconds=seconds, mode=mode)
                    values.setdefault(server.name, []).append(
                        (got["requests"] / got["seconds"], got["server_cpu_seconds"] / got["requests"] * 1e6))
            compare(bench, f"handshakes, {mode}", "1/s", values, wanted)
        bench.finish()


main(run)
