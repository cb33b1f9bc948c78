// The requests, good and bad: a name, what a target makes of it, and which kind of service asks.
import { fapi2 } from "./fapi2.js";
import { oidc } from "./oidc.js";
import { page } from "./page.js";
import { session } from "./session.js";
import { signed } from "./signed.js";

/** Every request as `[name, (target) => outcome, kind of service]`. */
export const requests = () =>
  Object.entries({ fapi2: [...fapi2(), ...session()], oidc: oidc(), page: page(), signed: signed() }).flatMap(([kind, all]) => all.map(([name, ask]) => [name, ask, kind]));
