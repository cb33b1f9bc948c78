// Signs a resident in and reads one block. Node 20 or newer: npm install, then
//   ISSUER=https://pass.example.org CLIENT_ID=svc_library KEY=client.p8.pem KID=library-1 MANDATE=mdt_library-card \
//   BLOCK=blk_name REASON=new-card PORT=8081 node sign-in.mjs
import { createPrivateKey, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import * as client from "openid-client";

const { ISSUER, CLIENT_ID, KEY, KID, MANDATE, BLOCK, REASON, PORT } = process.env;
const callback = `http://localhost:${PORT}/callback`;

// The key that stands in the service's statement proves who we are; a second one, made now, binds our tokens.
const jwk = createPrivateKey(readFileSync(KEY)).export({ format: "jwk" });
const key = await webcrypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
const dpop = client.getDPoPHandle.bind(null);
const keys = await client.randomDPoPKeyPair("ES256");

const local = new URL(ISSUER).protocol === "http:" ? [client.allowInsecureRequests] : [];
// The assertion is for the issuer itself, as one string.
const audience = { [client.modifyAssertion]: (_header, payload) => { payload.aud = ISSUER; } };
const pass = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, client.PrivateKeyJwt({ key, kid: KID }, audience), { execute: local });
const handle = dpop(pass, keys);

const sessions = new Map();
createServer(async (request, response) => {
  const here = new URL(request.url, callback);
  try {
    if (here.pathname === "/") {
      // The request goes over our own line; the browser carries only a reference to it.
      const verifier = client.randomPKCECodeVerifier();
      const [state, nonce] = [client.randomState(), client.randomNonce()];
      const address = await client.buildAuthorizationUrlWithPAR(pass, {
        redirect_uri: callback, scope: `openid ${MANDATE}`, state, nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
      }, { DPoP: handle });
      sessions.set(state, { verifier, nonce });
      response.writeHead(303, { location: address.href }).end();
    } else if (here.pathname === "/callback") {
      const state = here.searchParams.get("state");
      const { verifier, nonce } = sessions.get(state);
      const tokens = await client.authorizationCodeGrant(pass, here, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce }, undefined, { DPoP: handle });
      const subject = tokens.claims().sub;
      // Data comes under the service's own token, one logged use at a time.
      const own = await client.clientCredentialsGrant(pass, { scope: "release" }, { DPoP: handle });
      const body = JSON.stringify({ subject, mandate: MANDATE, blocks: [{ block: BLOCK, form: "value" }], reason: REASON });
      const released = await client.fetchProtectedResource(pass, own.access_token, new URL(`${ISSUER}/api/releases`), "POST", body, new Headers({ "content-type": "application/json" }), { DPoP: handle });
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ subject, answer: await released.json() }, null, 2));
    } else {
      response.writeHead(404).end();
    }
  } catch (error) {
    response.writeHead(500, { "content-type": "text/plain" }).end(`${error.code ?? ""} ${error.error ?? ""} ${error.message}`);
  }
}).listen(Number(PORT), () => console.log(`Open http://localhost:${PORT}/`));
