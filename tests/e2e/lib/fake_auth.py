"""Basic and Bearer, as registries ask for them."""

import base64
import json
import re
import secrets
import threading
import time


def _basic_user(header):
    """(user, password) of an Authorization header, or None."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


class Basic:
    def __init__(self, users):
        self.users = users

    def check(self, server, request):
        """None when allowed, else (status, headers)."""
        user = _basic_user(request.headers.get("authorization", ""))
        if user and self.users.get(user[0]) == user[1]:
            return None
        return 401, {"WWW-Authenticate": 'Basic realm="e2e"'}


class Bearer:
    """Token service on the registry itself (realm None) or at `realm` (a TokenServer). `life`: of a token in seconds, as
    promised in expires_in; `real_life`: when it really stops working. `anonymous`: tokens without credentials."""

    def __init__(self, users=None, anonymous=False, life=300, real_life=None, service="e2e.registry", field="token",
                 realm=None, placeholder_scope=False):
        self.users = users or {}
        self.anonymous, self.life, self.service, self.field = anonymous, life, service, field
        self.real_life = life if real_life is None else real_life
        self.realm = realm
        self.placeholder_scope = placeholder_scope  # as ghcr.io: the challenge names a made-up repository
        self.lock = threading.Lock()
        self.tokens = {}  # token -> (scopes, dies at)
        self.asked = []   # (query scope, user or None)

    def check(self, server, request):
        token = request.headers.get("authorization", "").partition(" ")[2]
        match = re.match(r"/v2/(.+)/(?:manifests|blobs|tags|referrers)/", request.path)
        wanted = "repository:%s:pull" % match.group(1) if match else None
        with self.lock:
            scopes, dies = self.tokens.get(token, ((), 0))
        alive = time.monotonic() < dies
        if alive and (wanted is None or wanted in scopes):
            return None
        realm = (self.realm.url if self.realm else server.url) + "/token"
        scope = "repository:user/image:pull" if self.placeholder_scope else wanted
        challenge = 'Bearer realm="%s",service="%s"' % (realm, self.service)
        if scope:
            challenge += ',scope="%s"' % scope
        if alive:
            challenge += ',error="insufficient_scope"'
        return 401, {"WWW-Authenticate": challenge}

    def issue(self, request):
        """The answer of the token endpoint: (status, body)."""
        user = _basic_user(request.headers.get("authorization", ""))
        scope = request.query.get("scope", "")
        with self.lock:
            self.asked.append((scope, user[0] if user else None))
        if user is None and not self.anonymous or user and self.users.get(user[0]) != user[1]:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}
        if request.query.get("service") != self.service:
            return 400, {"errors": [{"code": "UNSUPPORTED", "message": "wrong service"}]}
        token = secrets.token_urlsafe(300)
        with self.lock:
            self.tokens[token] = (scope.split(" "), time.monotonic() + self.real_life)
        return 200, {self.field: token, "expires_in": self.life}

    def revoke_all(self):
        with self.lock:
            self.tokens.clear()


def authorise(server, request):
    """The answer that refuses `request`, or the token it asked for; None: go on."""
    from .fake_upstream import Answer
    auth = server.auth
    if auth is None:
        return None
    if isinstance(auth, Bearer) and auth.realm is None and request.path == "/token":
        status, body = auth.issue(request)
        return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
    refusal = auth.check(server, request)
    if refusal is None:
        return None
    status, headers = refusal
    body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
