#!/usr/bin/env python3
"""Writes vectors/approvals with nothing but the standard library: approvals by key files and by passkeys.

P-256 is written out here again, so that no reader's library judges its own signatures. Run it without arguments; the files are committed.
"""

import hashlib
import json

from statements_and_events import HERE, base64url, public, save, sign

# ECDSA on P-256 (FIPS 186-5, SEC 1), slow and plain

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], P - 2, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], P - 2, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(n, point):
    total = None
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def number(label):
    return int.from_bytes(hashlib.sha512(label).digest(), "big") % (N - 1) + 1


def point(secret):
    x, y = times(secret, G)
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def integer(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(data)]) + data


def parts(secret, message, nonce=b""):
    k = number(b"nonce" + nonce + secret.to_bytes(32, "big") + message)
    r = times(k, G)[0] % N
    return r, pow(k, N - 2, N) * (int.from_bytes(hashlib.sha256(message).digest(), "big") + r * secret) % N


def der(r, s):
    body = integer(r) + integer(s)
    return b"\x30" + bytes([len(body)]) + body


# What devices and browsers make of them (Web Authentication Level 3, sections 5.8.1 and 6.1)

HOST = "pass.example.org"
ORIGIN = f"https://{HOST}"
SECRET = number(b"usufruct vectors: passkey")
OTHER = number(b"usufruct vectors: another passkey")
SEED = hashlib.sha256(b"usufruct vectors: passkey").digest()
HASH = hashlib.sha256(b"a statement").digest()
SECOND = hashlib.sha256(b"a second statement").digest()


def key(**changes):
    webauthn = {"algorithm": "ES256", "credential": base64url(b"credential of the head"), "rp_id": HOST, "origins": [ORIGIN]}
    entry = {"id": "head", "role": "head", "public": base64url(point(SECRET)), "webauthn": {**webauthn, **changes.pop("webauthn", {})}}
    return {**entry, **changes}


def ed25519_key():
    return key(public=base64url(public(SEED)), webauthn={"algorithm": "EdDSA"})


def file_key():
    return {"id": "head", "role": "head", "public": base64url(public(SEED))}


def message(hashes):
    if len(hashes) == 1:
        return b"usufruct/approval/v1\n" + hashes[0]
    return b"usufruct/approvals/v1\n" + hashlib.sha256(b"".join(hashes)).digest()


def client_data(asked, **changes):
    members = {"type": "webauthn.get", "challenge": base64url(asked), "origin": ORIGIN, "crossOrigin": False, **changes}
    members = {name: value for name, value in members.items() if value is not None}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def device_data(flags=0x1D, host=HOST, counter=0, more=b""):
    return hashlib.sha256(host.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big") + more


def approval(data=None, client=None, signer=None, among=(), **changes):
    data = device_data() if data is None else data
    client = client_data(message(list(among) or [HASH])) if client is None else client
    signed = data + hashlib.sha256(client).digest()
    signature = signer(signed) if signer else der(*parts(SECRET, signed))
    said = {
        "agency": "agc_library", "key": "head", "algorithm": "webauthn", "signature": base64url(signature),
        "authenticator_data": base64url(data), "client_data": base64url(client),
        **({"among": [one.hex() for one in among]} if among else {}), **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def case(expect, name, why, said, entry=None, flaw=None, digest=HASH):
    held = {"expect": expect, "why": why, "hash": digest.hex(), "key": entry or key(), "approval": said}
    save("approvals", name, {**held, "flaw": flaw} if flaw else held)


def accepted():
    def accept(name, why, said, **more):
        case("accept", name, why, said, **more)

    accept("key-file", "A signature by the key of a file.", plain(), entry=file_key())
    accept("passkey", "ES256, the owner known to the device.", approval())
    accept("passkey-ed25519", "EdDSA.", approval(signer=lambda signed: sign(SEED, signed)), entry=ed25519_key())
    accept("counter-that-went-back", "The counter is not looked at.", approval(device_data(counter=0)))
    accept("counter-at-its-end", "The counter is not looked at.", approval(device_data(counter=2**32 - 1)))
    accept("kept-on-one-device", "A passkey that is never copied.", approval(device_data(flags=0x05)))
    accept("may-be-copied", "A passkey that may be copied and is not yet.", approval(device_data(flags=0x0D)))
    accept("reserved-flags", "Flags without a meaning are signed and mean nothing.", approval(device_data(flags=0x27)))
    accept("second-page", "A page that the key names second, with a port.",
           approval(client=client_data(message([HASH]), origin=f"{ORIGIN}:8443")), entry=key(webauthn={"origins": [ORIGIN, f"{ORIGIN}:8443"]}))
    accept("host-above", "The passkey of a domain, used on a host under it.",
           approval(device_data(host="example.org")), entry=key(webauthn={"rp_id": "example.org"}))
    accept("without-cross-origin", "Older browsers leave the flag out.", approval(client=client_data(message([HASH]), crossOrigin=None)))
    accept("member-of-chromium", "A member that Chromium adds at times so that nobody compares with a template.",
           approval(client=client_data(message([HASH]), other_keys_can_be_added_here="do not compare clientDataJSON against a template. See https://goo.gl/yabPex")))
    accept("members-in-another-order", "The order of the members does not count.",
           approval(client=json.dumps(dict(reversed(json.loads(client_data(message([HASH]))).items())), separators=(",", ":")).encode()))
    accept("two-by-one-touch", "One touch for two statements, asked for the first.", approval(among=[HASH, SECOND]))
    accept("two-by-one-touch-the-second", "One touch for two statements, asked for the second.", approval(among=[HASH, SECOND]), digest=SECOND)
    many = [HASH] + [hashlib.sha256(bytes([i])).digest() for i in range(31)]
    accept("thirty-two-by-one-touch", "As many as one touch may approve.", approval(among=many))
    r, s = parts(SECRET, device_data() + hashlib.sha256(client_data(message([HASH]))).digest())
    accept("other-half-of-the-curve", "Both forms of s are signatures, and nothing rests on there being one.", approval(signer=lambda _: der(r, N - s)))


def plain():
    signature = base64url(sign(SEED, message([HASH])))
    return {"agency": "agc_library", "key": "head", "algorithm": "Ed25519", "signature": signature}


def refused():
    def refuse(name, flaw, why, said, **more):
        case("refuse", name, why, said, flaw=flaw, **more)

    def told(name, flaw, why, text):
        refuse(name, flaw, why, approval(client=text))

    asked = message([HASH])
    refuse("type-create", "type", "The answer of a device that made a passkey.", approval(client=client_data(asked, type="webauthn.create")))
    refuse("type-payment", "type", "A payment that a device confirmed.", approval(client=client_data(asked, type="payment.get")))
    refuse("type-missing", "type", "No type.", approval(client=client_data(asked, type=None)))
    refuse("type-as-flag", "type", "The type is a text.", approval(client=client_data(asked, type=True)))
    refuse("other-statement", "challenge", "An approval of another statement.", approval(), digest=SECOND)
    refuse("bare-hash", "challenge", "The hash without the words before it.", approval(client=client_data(HASH)))
    refuse("sign-in", "challenge", "32 random bytes, as a sign-in asks.", approval(client=client_data(hashlib.sha256(b"random").digest())))
    refuse("official-sign-in", "challenge", "What the sign-in of officials asks.",
           approval(client=client_data(b"usufruct/official-sign-in/v1\n" + HASH)))
    refuse("challenge-padded", "challenge", "base64url has no padding.", approval(client=client_data(asked, challenge=base64url(asked) + "=")))
    refuse("challenge-in-base64", "challenge", "The challenge is in base64url.",
           approval(client=client_data(asked, challenge=base64url(asked).replace("A", "+", 1))))
    refuse("challenge-missing", "challenge", "No challenge.", approval(client=client_data(asked, challenge=None)))
    refuse("challenge-as-flag", "challenge", "The challenge is a text.", approval(client=client_data(asked, challenge=False)))
    for name, origin in {
        "other-origin": "https://evil.example", "origin-http": f"http://{HOST}", "origin-other-port": f"{ORIGIN}:444",
        "origin-with-slash": f"{ORIGIN}/", "origin-in-capitals": "https://PASS.example.org", "origin-beneath": f"https://a.{HOST}",
        "origin-missing": None, "origin-as-flag": True,
    }.items():
        refuse(name, "origin", "A page that the key does not name, letter by letter.", approval(client=client_data(asked, origin=origin)))
    refuse("cross-origin", "cross-origin", "Inside a page of another site.", approval(client=client_data(asked, crossOrigin=True)))
    refuse("cross-origin-as-text", "cross-origin", "The flag is no text.", approval(client=client_data(asked, crossOrigin="false")))
    refuse("top-origin", "cross-origin", "A page of another site around it.", approval(client=client_data(asked, topOrigin="https://evil.example")))
    refuse("other-host", "rp-id", "Made for another host.", approval(device_data(host="evil.example")))
    refuse("host-above-not-named", "rp-id", "Made for the domain above, which the key does not name.", approval(device_data(host="example.org")))
    for name, flags, why in [
        ("not-touched", 0x1C, "Nobody touched the device."), ("not-verified", 0x19, "The device did not ask who touched it."),
        ("no-flags", 0x00, "Neither touched nor asked."), ("copied-though-not-copyable", 0x15, "Copied, and not able to be (6.1.3)."),
        ("flag-of-a-new-key", 0x5D, "It says that a new key follows, and none does."), ("flag-of-extensions", 0x9D, "It says that extensions follow, and none do."),
    ]:
        refuse(name, "flags", why, approval(device_data(flags=flags)))
    refuse("trailing-byte", "length", "A byte more than the device's data has.", approval(device_data(more=b"\x00")))
    refuse("extensions", "length", "Data of an extension that was not asked for.", approval(device_data(flags=0x9D, more=b"\xa0")))
    refuse("cut-short", "length", "A byte less.", approval(device_data()[:-1]))
    refuse("no-device-data", "length", "No data of a device.", approval(b""))
    refuse("other-key", "signature", "By another passkey.", approval(signer=lambda signed: der(*parts(OTHER, signed))))
    refuse("entry-of-another-key", "signature", "The key of another passkey.", approval(), entry=key(public=base64url(point(OTHER))))
    refuse("signature-without-der", "signature", "64 bytes instead of DER.",
           approval(signer=lambda signed: b"".join(one.to_bytes(32, "big") for one in parts(SECRET, signed))))
    refuse("signature-with-a-byte-more", "signature", "A byte after the signature.", approval(signer=lambda signed: der(*parts(SECRET, signed)) + b"\x00"))
    refuse("signature-long-form", "signature", "A length in the long form where the short one does.",
           approval(signer=lambda signed: (lambda made: made[:1] + b"\x81" + made[1:])(der(*parts(SECRET, signed)))))
    refuse("signature-padded-number", "signature", "A zero before a number that needs none.",
           approval(signer=lambda signed: (lambda r, s: b"\x30" + bytes([len(integer(r)) + len(integer(s)) + 1]) + b"\x02" + bytes([len(integer(r)) - 1]) + b"\x00" + integer(r)[2:] + integer(s))(*parts(SECRET, signed))))
    refuse("signature-zero", "signature", "r and s of zero.", approval(signer=lambda _: der(0, 0)))
    refuse("signature-negative", "signature", "A number that reads as negative.", approval(signer=lambda signed: b"\x30\x44\x02\x20" + b"\xff" * 32 + b"\x02\x20" + b"\x7f" * 32))
    refuse("signature-over-r-plus-n", "signature", "r is not below the order.", approval(signer=lambda signed: (lambda r, s: der(r + N, s))(*parts(SECRET, signed))))
    refuse("signature-empty", "signature", "No signature.", approval(signer=lambda _: b""))
    refuse("signature-of-client-data-alone", "signature", "Not over what the device said.",
           approval(signer=lambda _: der(*parts(SECRET, client_data(asked)))))
    refuse("ed25519-of-65-bytes", "signature", "A byte after an EdDSA signature.", approval(signer=lambda signed: sign(SEED, signed) + b"\x00"), entry=ed25519_key())
    refuse("passkey-approval-by-key-file", "algorithm", "The key of a file makes no approval of a passkey.",
           approval(signer=lambda signed: sign(SEED, signed)), entry=file_key())
    refuse("key-file-approval-by-passkey", "algorithm", "A passkey makes no approval of a key file, though the bytes would verify.", plain(), entry=ed25519_key())
    refuse("algorithm-name", "algorithm", "The algorithm has one name.", approval(algorithm="WebAuthn"))
    refuse("key-file-with-device-data", "algorithm", "A key file has no device.", {**plain(), "authenticator_data": base64url(device_data())}, entry=file_key())
    refuse("key-file-among", "algorithm", "A key file signs each statement.", {**plain(), "among": [HASH.hex(), SECOND.hex()]}, entry=file_key())
    refuse("without-client-data", "algorithm", "Nothing of the browser.", approval(client_data=None))
    refuse("without-device-data", "algorithm", "Nothing of the device.", approval(authenticator_data=None))
    refuse("algorithm-of-the-key", "algorithm", "The key says EdDSA and is a point of P-256.", approval(), entry=key(webauthn={"algorithm": "EdDSA"}))
    refuse("not-among", "challenge", "One touch for two other statements.", approval(among=[SECOND, SECOND]))
    refuse("among-one", "challenge", "A list of one has another form.", approval(client=client_data(asked), among=[HASH]))
    refuse("among-swapped", "challenge", "The same statements in another order.", approval(client=client_data(message([SECOND, HASH])), among=[HASH, SECOND]))
    refuse("among-more", "challenge", "A statement slipped in after the touch.", approval(client=client_data(message([HASH, SECOND])), among=[HASH, SECOND, hashlib.sha256(b"").digest()]))
    refuse("among-though-single", "challenge", "A touch for one statement, claimed for two.", approval(client=client_data(asked), among=[HASH, SECOND]))
    refuse("among-thirty-three", "challenge", "More than one touch may approve.", approval(among=[HASH] + [hashlib.sha256(bytes([i])).digest() for i in range(32)]))

    text = client_data(asked).decode()
    told("member-twice", "client-data", "A name twice: two readers could take different ones.", text.replace("{", '{"origin":"https://evil.example",', 1).encode())
    told("member-twice-the-same", "client-data", "A name twice, with the same value.", text.replace("{", '{"type":"webauthn.get",', 1).encode())
    told("space", "client-data", "Browsers write no spaces.", text.replace(":", ": ", 1).encode())
    told("byte-after-the-object", "client-data", "Something after the end.", text.encode() + b" ")
    told("object-in-object", "client-data", "Only texts and flags.", text.replace("}", ',"more":{}}').encode())
    told("number", "client-data", "Only texts and flags.", text.replace("}", ',"more":1}').encode())
    told("escape", "client-data", "Nothing in it needs an escape.", text.replace("webauthn", "\\u0077ebauthn").encode())
    told("not-ascii", "client-data", "Nothing in it is beyond ASCII.", text.replace("}", ',"more":"é"}').encode())
    told("not-utf8", "client-data", "0xff is no UTF-8.", text.replace("}", ',"more":"').encode() + b"\xff" + b'"}')
    told("byte-order-mark", "client-data", "It begins with the object.", b"\xef\xbb\xbf" + text.encode())
    told("empty-object", "client-data", "No members.", b"{}")
    told("empty", "client-data", "No bytes.", b"")
    told("list", "client-data", "A list is no object.", b"[]")
    told("comma-at-the-end", "client-data", "A comma and nothing after it.", text.replace("}", ",}").encode())
    told("too-long", "client-data", "More than 1,024 bytes.", text.replace("}", ',"more":"' + "x" * 1_024 + '"}').encode())


if __name__ == "__main__":
    (HERE / "approvals").mkdir(exist_ok=True)
    for old in (HERE / "approvals").glob("*.json"):
        old.unlink()
    accepted()
    refused()
