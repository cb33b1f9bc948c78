// npm oidc-provider, a certified provider, set up as far as it goes like the pass, with one resident who agrees to everything.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const ASSERTION_ALGORITHMS = ["ES256", "EdDSA", "PS256", "RS256"];

/** What a client of each kind is registered with. */
const KINDS = {
  fapi2: {
    token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256", id_token_signed_response_alg: "ES256",
    dpop_bound_access_tokens: true, require_pushed_authorization_requests: true, grant_types: ["authorization_code", "refresh_token", "client_credentials"],
  },
  oidc: { token_endpoint_auth_method: "private_key_jwt", grant_types: ["authorization_code"] },
  page: { token_endpoint_auth_method: "none", grant_types: ["authorization_code"] },
};

/** Starts it with these clients. @param {number} port @param {{id: string, redirect: string, out: string, jwk?: object, kind: keyof typeof KINDS}[]} clients */
export async function startPeer(port, clients) {
  const url = `http://localhost:${port}`;
  const own = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
  const of = (id) => clients.find((client) => client.id === id);
  const provider = new Provider(url, {
    clients: clients.map(({ id, redirect, out, jwk, kind, registered }) => ({
      client_id: id, redirect_uris: [redirect], post_logout_redirect_uris: [out], ...KINDS[kind], ...registered,
      ...(jwk ? { jwks: { keys: [{ ...jwk, use: "sig" }] } } : {}),
    })),
    jwks: {
      keys: [
        { ...own("ec", { namedCurve: "P-256" }), kid: "ec", alg: "ES256", use: "sig" },
        { ...own("rsa", { modulusLength: 2_048 }), kid: "rsa", alg: "RS256", use: "sig" },
        { ...own("rsa", { modulusLength: 2_048 }), kid: "pss", alg: "PS256", use: "sig" },
        { ...own("ed25519"), kid: "ed", alg: "EdDSA", use: "sig" },
      ],
    },
    enabledJWA: { clientAuthSigningAlgValues: ASSERTION_ALGORITHMS, dPoPSigningAlgValues: ASSERTION_ALGORITHMS.slice(0, 3), idTokenSigningAlgValues: ["ES256", "EdDSA", "PS256", "RS256"], userinfoSigningAlgValues: ["ES256", "EdDSA", "PS256", "RS256"] },
    scopes: ["openid", "release"],
    allowOmittingSingleRegisteredRedirectUri: false,
    enableHttpPostMethods: true,
    cookies: { keys: ["only for this test"], long: { sameSite: "none", secure: false }, short: { sameSite: "lax" } },
    responseTypes: ["code"],
    subjectTypes: ["pairwise"],
    pairwiseIdentifier: (_, account, client) => `${account}-at-${client.clientId}`,
    clientAuthMethods: ["private_key_jwt", "none"],
    clientBasedCORS: (_, origin, client) => new URL(client.redirectUris[0]).origin === origin && of(client.clientId)?.kind === "page",
    features: {
      claimsParameter: { enabled: true }, clientCredentials: { enabled: true }, devInteractions: { enabled: false }, dPoP: { enabled: true }, jwtUserinfo: { enabled: true }, introspection: { enabled: true },
      fapi: { enabled: true, profile: (_, client) => (client && of(client.clientId)?.kind === "fapi2" ? "2.0" : undefined) },
      pushedAuthorizationRequests: { enabled: true }, resourceIndicators: { enabled: false }, revocation: { enabled: true },
    },
    ttl: { AuthorizationCode: 30, AccessToken: 300 },
    pkce: { required: (_, client) => of(client.clientId)?.kind !== "oidc" },
    rotateRefreshToken: false,
    issueRefreshToken: (_, client) => of(client.clientId)?.kind === "fapi2",
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
  const paths = {
    par: "/request", token: "/token", userinfo: "/me", introspect: "/token/introspection", revoke: "/token/revocation", authorize: "/auth",
    discovery: "/.well-known/openid-configuration", jwks: "/jwks", end: "/session/end",
  };
  return { url, paths, stop: () => server.close() };
}
