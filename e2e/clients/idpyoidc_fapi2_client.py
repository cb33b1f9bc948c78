# idpyoidc as a service of the profile fapi2, as far as it gets. The request is pushed for it, because its own add-on pushes request objects. Its own
# assertion is refused, because it names the audience in a list; with one that is handed to it the library exchanges the code by its proof of possession.
import json
import sys
import time
from urllib.parse import parse_qs, parse_qsl, urlencode, urlparse
import uuid

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptojwt.jwk.ec import ECKey
from cryptojwt.jws.jws import JWS
from cryptojwt.key_jar import KeyJar
from idpyoidc.client.rp_handler import RPHandler
import requests

settings = json.loads(sys.argv[1])
with open(settings["key"], "rb") as file:
    private = load_pem_private_key(file.read(), password=None)
key = ECKey(kid=settings["kid"], use="sig", alg="ES256").load_key(private)
keyjar = KeyJar()
keyjar.import_jwks({"keys": [key.serialize(private=True)]}, "")
keyjar.import_jwks({"keys": [key.serialize(private=True)]}, settings["client_id"])

client = {
    "issuer": settings["issuer"],
    "client_id": settings["client_id"],
    "client_type": "oidc",
    "redirect_uris": [settings["redirect_uri"]],
    "response_types_supported": ["code"],
    "scopes_supported": ["openid"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
    "id_token_signed_response_alg": "ES256",
    "client_authn_methods": ["private_key_jwt", "bearer_header"],
    "add_ons": {
        "pkce": {
            "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
            "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
        },
        "dpop": {
            "function": "idpyoidc.client.oauth2.add_on.dpop.add_support",
            "kwargs": {"dpop_signing_alg_values_supported": ["ES256"], "with_dpop_header": ["accesstoken", "userinfo"]},
        },
    },
    "services": {
        "discovery": {"class": "idpyoidc.client.oidc.provider_info_discovery.ProviderInfoDiscovery"},
        "authorization": {"class": "idpyoidc.client.oidc.authorization.Authorization"},
        "accesstoken": {
            "class": "idpyoidc.client.oidc.access_token.AccessToken",
            "kwargs": {"conf": {"default_authn_method": "private_key_jwt"}},
        },
        "userinfo": {"class": "idpyoidc.client.oidc.userinfo.UserInfo"},
    },
}
handler = RPHandler(base_url="http://localhost", client_configs={"pass": client}, keyjar=keyjar)
address = handler.begin("pass")


def assertion():
    now = int(time.time())
    claims = {"iss": settings["client_id"], "sub": settings["client_id"], "aud": settings["issuer"], "iat": now, "exp": now + 60}
    return JWS(json.dumps({**claims, "jti": uuid.uuid4().hex}), alg="ES256", kid=settings["kid"]).sign_compact([key])


pushed = requests.post(
    f"{settings['issuer']}/oidc/par",
    data={
        **dict(parse_qsl(urlparse(address).query)),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(),
    },
    timeout=10,
)
if pushed.status_code != 201:
    sys.exit(f"{pushed.status_code} {pushed.text}")
short = {"client_id": settings["client_id"], "request_uri": pushed.json()["request_uri"]}
print(f"{settings['issuer']}/oidc/authorize?{urlencode(short)}", flush=True)
back = sys.stdin.readline().strip()
answer = {name: values[0] for name, values in parse_qs(urlparse(back).query).items()}
relying_party = handler.get_client_from_session_key(answer["state"])
authorized = handler.finalize_auth(relying_party, settings["issuer"], answer)


def exchange(**how):
    return relying_party.do_request(
        "accesstoken",
        state=answer["state"],
        request_args={
            "code": authorized["code"],
            "grant_type": "authorization_code",
            "redirect_uri": settings["redirect_uri"],
            "client_id": settings["client_id"],
            "state": answer["state"],
        },
        authn_method="private_key_jwt",
        **how,
    )


own = exchange(algorithm="ES256", audience=settings["issuer"], lifetime=60)
tokens = exchange(client_assertion=assertion())
if "error" in tokens:
    sys.exit(f"{tokens}")
try:
    userinfo = "error" if "error" in handler.get_user_info(answer["state"], access_token=tokens["access_token"]) else "taken"
except Exception as error:  # The library raises what it likes.
    userinfo = type(error).__name__
learnt = {"sub": tokens["__verified_id_token"]["sub"], "type": tokens["token_type"], "userinfo": userinfo}
print(json.dumps({**learnt, "own_assertion": own.get("error", "taken")}), flush=True)
