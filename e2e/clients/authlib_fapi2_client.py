# authlib as a service of the profile fapi2, as far as it gets: its assertions push the request and are taken where the code is exchanged. It makes no
# proofs of possession, so it gets no token.
import json
import sys
import time
from urllib.parse import parse_qsl, urlencode, urlparse

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
import requests

settings = json.loads(sys.argv[1])
metadata = requests.get(f"{settings['issuer']}/.well-known/openid-configuration", timeout=10).json()
with open(settings["key"], "rb") as file:
    key = ECKey.import_key(file.read(), {"kid": settings["kid"]})

client = OAuth2Session(
    settings["client_id"],
    key,
    token_endpoint_auth_method="private_key_jwt",
    scope="openid",
    redirect_uri=settings["redirect_uri"],
    code_challenge_method="S256",
)
claims = {"exp": int(time.time()) + 60}
client.register_client_auth_method(PrivateKeyJWT(metadata["issuer"], claims=claims, headers={"kid": settings["kid"]}, alg="ES256"))
verifier = "a-verifier-of-at-least-forty-three-characters"
address, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce="n1")

pushed = client.post(
    metadata["pushed_authorization_request_endpoint"],
    data=dict(parse_qsl(urlparse(address).query)),
    auth=client.client_auth("private_key_jwt"),
    withhold_token=True,
)
if pushed.status_code != 201:
    sys.exit(f"{pushed.status_code} {pushed.text}")
short = {"client_id": settings["client_id"], "request_uri": pushed.json()["request_uri"]}
print(f"{metadata['authorization_endpoint']}?{urlencode(short)}", flush=True)
back = sys.stdin.readline().strip()
try:
    client.fetch_token(metadata["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
    outcome = "a token"
except OAuthError as error:
    outcome = error.error
print(json.dumps({"pushed": pushed.status_code, "outcome": outcome}), flush=True)
