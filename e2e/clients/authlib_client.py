# authlib signs a resident in, as its documentation shows, with a key in place of a secret.
import json
import sys
import time

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
import requests

settings = json.loads(sys.argv[1])
metadata = requests.get(f"{settings['issuer']}/.well-known/openid-configuration", timeout=10).json()
with open(settings["key"], "rb") as file:
    key = ECKey.import_key(file.read(), {"kid": settings["kid"]})


def session():
    client = OAuth2Session(
        settings["client_id"],
        key,
        token_endpoint_auth_method="private_key_jwt",
        scope="openid",
        redirect_uri=settings["redirect_uri"],
        code_challenge_method="S256",
    )
    # Assertions live for an hour by default; the pass takes five minutes.
    claims = {"exp": int(time.time()) + 60}
    client.register_client_auth_method(PrivateKeyJWT(metadata["issuer"], claims=claims, headers={"kid": settings["kid"]}, alg="ES256"))
    return client


client = session()
verifier = "a-verifier-of-at-least-forty-three-characters"
address, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce="n1")
print(address, flush=True)
back = sys.stdin.readline().strip()

token = client.fetch_token(metadata["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
required = {"iss": metadata["issuer"], "aud": settings["client_id"], "nonce": "n1"}
jwt.JWTClaimsRegistry(**{name: {"essential": True, "value": value} for name, value in required.items()}).validate(claims)
userinfo = client.get(metadata["userinfo_endpoint"]).json()
try:
    session().fetch_token(metadata["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
    replayed = "taken"
except OAuthError as error:
    replayed = error.error
print(json.dumps({"sub": claims["sub"], "userinfo": userinfo, "replayed": replayed}), flush=True)
