// A passkey without a browser: enough of WebAuthn (ES256, attestation "none") to enrol and sign in by plain HTTP.
import { createHash, createSign, generateKeyPairSync, randomBytes } from "node:crypto";

const [PRESENT, VERIFIED, ATTESTED] = [0x01, 0x04, 0x40];

export class SoftPasskey {
  #key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  #id = randomBytes(32);
  #user = "";
  #count = 0;

  /** @param {string} origin where the page would be, as http://localhost:8080 */
  constructor(origin) {
    this.origin = origin;
    this.host = new URL(origin).hostname;
  }

  /** @param {{challenge: string, user: {id: string}}} options PublicKeyCredentialCreationOptionsJSON */
  create({ challenge, user }) {
    this.#user = user.id;
    const { x, y } = this.#key.publicKey.export({ format: "jwk" });
    const cose = cbor(new Map([[1, 2], [3, -7], [-1, 1], [-2, bytes(x)], [-3, bytes(y)]]));
    const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, this.#id.length]), this.#id, cose]);
    const authData = Buffer.concat([this.#head(PRESENT | VERIFIED | ATTESTED), attested]);
    const clientData = this.#clientData("webauthn.create", challenge);
    return this.#answer({
      clientDataJSON: url(clientData),
      attestationObject: url(cbor(new Map([["fmt", "none"], ["attStmt", new Map()], ["authData", authData]]))),
      transports: ["internal"],
    });
  }

  /** @param {{challenge: string}} options PublicKeyCredentialRequestOptionsJSON */
  get({ challenge }) {
    const authData = this.#head(PRESENT | VERIFIED);
    const clientData = this.#clientData("webauthn.get", challenge);
    const signed = Buffer.concat([authData, sha256(clientData)]);
    return this.#answer({
      clientDataJSON: url(clientData),
      authenticatorData: url(authData),
      signature: url(createSign("sha256").update(signed).sign(this.#key.privateKey)),
      userHandle: this.#user,
    });
  }

  #answer(response) {
    const id = url(this.#id);
    return { id, rawId: id, type: "public-key", authenticatorAttachment: "platform", response, clientExtensionResults: {} };
  }

  #clientData(type, challenge) {
    return Buffer.from(JSON.stringify({ type, challenge, origin: this.origin, crossOrigin: false }));
  }

  #head(flags) {
    const count = Buffer.alloc(4);
    count.writeUInt32BE((this.#count += 1));
    return Buffer.concat([sha256(Buffer.from(this.host)), Buffer.from([flags]), count]);
  }
}

const bytes = (text) => Buffer.from(text, "base64url");
const url = (value) => Buffer.from(value).toString("base64url");
const sha256 = (value) => createHash("sha256").update(value).digest();

/** Numbers, text, bytes and maps in CBOR. */
function cbor(value) {
  const head = (major, n) => (n < 24 ? Buffer.from([major | n]) : n < 256 ? Buffer.from([major | 24, n]) : Buffer.from([major | 25, n >> 8, n & 255]));
  if (typeof value === "number") return value < 0 ? head(0x20, -1 - value) : head(0, value);
  if (typeof value === "string") return Buffer.concat([head(0x60, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Map) return Buffer.concat([head(0xa0, value.size), ...[...value].flatMap(([k, v]) => [cbor(k), cbor(v)])]);
  return Buffer.concat([head(0x40, value.length), value]);
}
