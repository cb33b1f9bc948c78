# idpyoidc signs a resident in by its handler for relying parties, from discovery on and with its own defaults for ID tokens.
import json
import sys
from urllib.parse import parse_qs, urlparse

from cryptojwt.jwk.ec import ECKey
from cryptojwt.key_jar import KeyJar
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from idpyoidc.client.rp_handler import RPHandler

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
    "client_authn_methods": ["private_key_jwt", "bearer_header"],
    "add_ons": {
        "pkce": {
            "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
            "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
        }
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
print(handler.begin("pass"), flush=True)
back = sys.stdin.readline().strip()
answer = {name: values[0] for name, values in parse_qs(urlparse(back).query).items()}
relying_party = handler.get_client_from_session_key(answer["state"])
authorized = handler.finalize_auth(relying_party, settings["issuer"], answer)
# Assertions live for ten minutes and are for the token endpoint by default; the pass takes five, and prefers the issuer.
tokens = relying_party.do_request(
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
    algorithm="ES256",
    audience=settings["issuer"],
    lifetime=60,
)
if "error" in tokens:
    sys.exit(f"{tokens}")
userinfo = handler.get_user_info(answer["state"], access_token=tokens["access_token"])
print(json.dumps({"sub": tokens["__verified_id_token"]["sub"], "userinfo": userinfo["sub"]}), flush=True)
