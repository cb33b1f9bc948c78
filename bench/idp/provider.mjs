// npm oidc-provider, set up like ours as far as it goes: private_key_jwt, DPoP, pushed requests; everything in memory.
import { generateKeyPairSync } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Provider from "oidc-provider";

const [, , dir, port] = process.argv;
const pair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const client = pair();
writeFileSync(join(dir, "client.p8"), client.privateKey.export({ format: "der", type: "pkcs8" }));

const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: "svc_library",
    token_endpoint_auth_method: "private_key_jwt",
    token_endpoint_auth_signing_alg: "ES256",
    id_token_signed_response_alg: "ES256",
    dpop_bound_access_tokens: true,
    grant_types: ["authorization_code", "client_credentials"],
    redirect_uris: ["http://localhost:8081/callback"],
    jwks: { keys: [{ ...client.publicKey.export({ format: "jwk" }), kid: "client", alg: "ES256", use: "sig" }] },
  }],
  jwks: { keys: [{ ...pair().privateKey.export({ format: "jwk" }), kid: "provider", alg: "ES256", use: "sig" }] },
  enabledJWA: { clientAuthSigningAlgValues: ["ES256"], dPoPSigningAlgValues: ["ES256"], idTokenSigningAlgValues: ["ES256"] },
  features: {
    clientCredentials: { enabled: true },
    // Its own pages for signing in and agreeing, which take any name: they are walked before the clock starts.
    devInteractions: { enabled: true },
    dPoP: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
  },
  pkce: { required: () => true },
});

provider.listen(Number(port), "127.0.0.1", () => {
  writeFileSync(join(dir, "ready.new"), "{}");
  renameSync(join(dir, "ready.new"), join(dir, "ready.json"));
});
