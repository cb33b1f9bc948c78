"""Signs a resident in and reads one block. Python 3.11 or newer: pip install -r requirements.txt, then

ISSUER=https://pass.example.org CLIENT_ID=svc_library KEY=client.p8.pem KID=library-1 MANDATE=mdt_library-card \
BLOCK=blk_name REASON=new-card PORT=8081 python sign_in.py
"""
import base64, hashlib, json, os, secrets, time, urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ISSUER, CLIENT_ID, MANDATE = os.environ["ISSUER"], os.environ["CLIENT_ID"], os.environ["MANDATE"]
PORT = int(os.environ["PORT"])
CALLBACK = f"http://localhost:{PORT}/callback"
# The key that stands in the service's statement proves who we are; a second one, made now, binds our tokens.
with open(os.environ["KEY"]) as file:
    key = ECKey.import_key(file.read())
bound = ECKey.generate_key("P-256")
found = requests.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10).json()
pending = {}


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def assertion() -> str:
    """Who we are (RFC 7523). Its audience is the issuer itself, as one string."""
    now = int(time.time())
    claims = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": secrets.token_urlsafe(16)}
    return jwt.encode({"alg": "ES256", "kid": os.environ["KID"]}, claims, key)


def proof(method: str, url: str, token: str | None = None) -> str:
    """That we have the key our tokens are bound to (RFC 9449)."""
    claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time())}
    if token:
        claims["ath"] = url64(hashlib.sha256(token.encode()).digest())
    return jwt.encode({"typ": "dpop+jwt", "alg": "ES256", "jwk": bound.as_dict(private=False)}, claims, bound)


def post(url: str, form: dict) -> dict:
    signed = {**form, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": assertion()}
    answer = requests.post(url, data=signed, headers={"DPoP": proof("POST", url)}, timeout=10)
    if not answer.ok:
        raise RuntimeError(answer.text)
    return answer.json()


def begin() -> str:
    """The request goes over our own line; the browser carries only a reference to it (RFC 9126)."""
    verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    pushed = post(found["pushed_authorization_request_endpoint"], {
        "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": CALLBACK, "scope": f"openid {MANDATE}", "state": state, "nonce": nonce,
        "code_challenge": url64(hashlib.sha256(verifier.encode()).digest()), "code_challenge_method": "S256",
    })
    pending[state] = (verifier, nonce)
    return found["authorization_endpoint"] + "?" + urllib.parse.urlencode({"client_id": CLIENT_ID, "request_uri": pushed["request_uri"]})


def finish(query: dict) -> dict:
    if query.get("iss") != ISSUER or "code" not in query:
        raise RuntimeError(query.get("error", "the answer is not from the pass"))
    verifier, nonce = pending.pop(query["state"])
    form = {"grant_type": "authorization_code", "code": query["code"], "redirect_uri": CALLBACK, "code_verifier": verifier}
    tokens = post(found["token_endpoint"], form)
    keys = KeySet.import_key_set(requests.get(found["jwks_uri"], timeout=10).json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    now = time.time()
    if (claims["iss"], claims["aud"], claims["nonce"]) != (ISSUER, CLIENT_ID, nonce) or claims["exp"] < now:
        raise RuntimeError("the ID token is not for this sign-in")
    # Data comes under the service's own token, one logged use at a time.
    own = post(found["token_endpoint"], {"grant_type": "client_credentials", "scope": "release"})["access_token"]
    url = f"{ISSUER}/api/releases"
    body = {"subject": claims["sub"], "mandate": MANDATE, "blocks": [{"block": os.environ["BLOCK"], "form": "value"}], "reason": os.environ["REASON"]}
    headers = {"Authorization": f"DPoP {own}", "DPoP": proof("POST", url, own)}
    return {"subject": claims["sub"], "answer": requests.post(url, json=body, headers=headers, timeout=10).json()}


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        here = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(here.query))
        if here.path == "/":
            self.send_response(303)
            self.send_header("location", begin())
            self.end_headers()
            return
        try:
            status, text = 200, json.dumps(finish(query), indent=2, ensure_ascii=False)
        except Exception as error:  # A sample shows whatever went wrong.
            status, text = 500, str(error)
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", PORT), Site)
print(f"Open http://localhost:{PORT}/", flush=True)
server.serve_forever()
