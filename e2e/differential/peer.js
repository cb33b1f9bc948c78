// npm oidc-provider, a certified provider, set up as far as it goes like the pass, with one resident who agrees to everything.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

/** Starts it with these clients' public keys. @param {number} port @param {{id: string, redirect: string, jwk: object}[]} clients */
export async function startPeer(port, clients) {
  const url = `http://localhost:${port}`;
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  const algorithms = ["ES256", "EdDSA", "PS256"];
  const provider = new Provider(url, {
    clients: clients.map(({ id, redirect, jwk }) => ({
      client_id: id, redirect_uris: [redirect], jwks: { keys: [{ ...jwk, use: "sig" }] }, application_type: "native",
      token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256", id_token_signed_response_alg: "ES256",
      dpop_bound_access_tokens: true, require_pushed_authorization_requests: true,
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
    })),
    jwks: { keys: [{ ...own, kid: "provider", alg: "ES256", use: "sig" }] },
    enabledJWA: { clientAuthSigningAlgValues: algorithms, dPoPSigningAlgValues: algorithms, idTokenSigningAlgValues: ["ES256"] },
    scopes: ["openid", "release"],
    features: {
      clientCredentials: { enabled: true }, devInteractions: { enabled: false }, dPoP: { enabled: true }, introspection: { enabled: true },
      pushedAuthorizationRequests: { enabled: true }, resourceIndicators: { enabled: false }, revocation: { enabled: true },
    },
    ttl: { AuthorizationCode: 30, AccessToken: 300 },
    pkce: { required: () => true },
    rotateRefreshToken: false,
    issueRefreshToken: () => true,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  });
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith("/interaction/")) return next();
    const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
    let result = { login: { accountId: "resident" } };
    if (prompt.name === "consent") {
      const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
      grant.addOIDCScope(params.scope);
      result = { consent: { grantId: await grant.save() } };
    }
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
  });
  provider.on("server_error", () => {});
  const server = await new Promise((resolve) => {
    const listening = provider.listen(port, "127.0.0.1", () => resolve(listening));
  });
  const paths = { par: "/request", token: "/token", userinfo: "/me", introspect: "/token/introspection", revoke: "/token/revocation", authorize: "/auth" };
  return { url, paths, stop: () => server.close() };
}
