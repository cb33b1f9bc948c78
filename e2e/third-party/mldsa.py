"""An independent judge of ML-DSA-44 cosignatures (c2sp.org/tlog-cosignature, type 0x06): PyPI `cryptography`, which is OpenSSL.

    mldsa.py key NAME SEED                 prints the public key that grows from a seed
    mldsa.py sign NAME SEED TIME < NOTE    prints the note with one more line
    mldsa.py verify VKEY < NOTE            prints the time of the line by this key, and fails unless it is right
    mldsa.py vectors FILE                  replays vectors/tlog/cosignature.json, as far as it is of this type

SEED is 32 bytes in hex, TIME seconds since 1970. Nothing here comes from the log crate or the verifier.
"""

import base64
import hashlib
import json
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

TYPE = b"\x06"
DASH = "\u2014 "
LAST_TIME = 2**63 - 1


class Refused(Exception):
    """The signature does not stand."""


def key_id(name, key):
    return hashlib.sha256(name.encode() + b"\n" + TYPE + key).digest()[:4]


def vkey(name, key):
    return f"{name}+{key_id(name, key).hex()}+{base64.b64encode(TYPE + key).decode()}"


def parse_vkey(text):
    name, identifier, encoded = text.split("+", 2)
    decoded = base64.b64decode(encoded, validate=True)
    if decoded[:1] != TYPE or len(decoded) != 1313 or bytes.fromhex(identifier) != key_id(name, decoded[1:]):
        raise Refused("the key is not of type 0x06, or its id is another's")
    return name, decoded[1:]


def opaque(text):
    data = text.encode()
    if not 1 <= len(data) <= 255:
        raise Refused("a name does not have 1 to 255 bytes")
    return struct.pack(">B", len(data)) + data


def message(name, time, origin, start, end, root):
    if time > LAST_TIME or start and time:
        raise Refused("the time is too late, or a range within the tree has one")
    label = b"subtree/v1\n\0"
    return label + opaque(name) + struct.pack(">Q", time) + opaque(origin) + struct.pack(">QQ", start, end) + root


def checkpoint(text):
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not lines[2] or lines[1] != str(int(lines[1])):
        raise Refused("the text is no checkpoint")
    return lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)


def split_note(note):
    text, lines = note.rsplit("\n\n", 1)
    return text + "\n", lines.splitlines()


def open_line(line, name, key):
    """The time and signature of a line, or None when it is another key's."""
    if not line.startswith(DASH):
        raise Refused("a line is no signature line")
    own_name, encoded = line[len(DASH):].split(" ")
    decoded = base64.b64decode(encoded, validate=True)
    if own_name != name or decoded[:4] != key_id(name, key):
        return None
    if len(decoded) != 4 + 8 + 2420:
        raise Refused("the signature has another length")
    return struct.unpack(">Q", decoded[4:12])[0], decoded[12:]


def verify_line(line, name, key, origin, start, end, root):
    """The time of the line; None when it is another key's."""
    opened = open_line(line, name, key)
    if opened is None:
        return None
    time, signature = opened
    try:
        MLDSA44PublicKey.from_public_bytes(key).verify(signature, message(name, time, origin, start, end, root))
    except InvalidSignature:
        raise Refused("the signature is wrong") from None
    return time


def verify_note(text, lines, name, key):
    times = []
    for line in lines:
        opened = open_line(line, name, key)
        if opened is None:
            continue
        origin, size, root = checkpoint(text)
        times.append(verify_line(line, name, key, origin, 0, size, root))
    if not times:
        raise Refused("the key has not signed the note")
    return times[0]


def sign(text, name, seed, time):
    private = MLDSA44PrivateKey.from_seed_bytes(seed)
    key = private.public_key().public_bytes_raw()
    origin, size, root = checkpoint(text)
    body = struct.pack(">Q", time) + private.sign(message(name, time, origin, 0, size, root))
    return f"{DASH}{name} {base64.b64encode(key_id(name, key) + body).decode()}\n"


def outcome(check):
    try:
        return "valid" if check() is not None else "unsigned"
    except (Refused, ValueError):
        return "refused"


def vectors(path):
    with open(path, encoding="utf-8") as file:
        cases = json.load(file)
    count = {"checkpoints": 0, "subtrees": 0}
    for kind in count:
        for case in cases[kind]:
            try:
                name, key = parse_vkey(case["vkey"])
            except Refused:
                continue  # An Ed25519 key, which is not this program's.
            if kind == "checkpoints":
                def check(case=case, name=name, key=key):
                    found = open_line(case["line"], name, key)
                    return None if found is None else verify_note(case["text"], [case["line"]], name, key)
            else:
                def check(case=case, name=name, key=key):
                    root = base64.b64decode(case["root"])
                    return verify_line(case["line"], name, key, case["origin"], int(case["start"]), int(case["end"]), root)
            expected = case["outcome"] if case["outcome"] in ("valid", "unsigned") else "refused"
            if outcome(check) != expected:
                raise SystemExit(f"{case['name']}: {outcome(check)}, but {expected} is expected")
            if case["message_hex"] and case["outcome"] == "valid":
                time, _ = open_line(case["line"], name, key)
                if kind == "checkpoints":
                    origin, end, root = checkpoint(case["text"])
                    start = 0
                else:
                    origin, start, end = case["origin"], int(case["start"]), int(case["end"])
                    root = base64.b64decode(case["root"])
                if message(name, time, origin, start, end, root).hex() != case["message_hex"]:
                    raise SystemExit(f"{case['name']}: the message is another one")
            count[kind] += 1
    print(f"{count['checkpoints']} checkpoints and {count['subtrees']} subtrees")


def read_note():
    text = sys.stdin.buffer.read().decode()
    return split_note(text) if "\n\n" in text else (text, [])


def main(command, *arguments):
    if command == "key":
        name, seed = arguments
        print(vkey(name, MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(seed)).public_key().public_bytes_raw()))
    elif command == "sign":
        name, seed, time = arguments
        text, lines = read_note()
        line = sign(text, name, bytes.fromhex(seed), int(time))
        sys.stdout.buffer.write(f"{text}\n{''.join(line + chr(10) for line in lines)}{line}".encode())
    elif command == "verify":
        name, key = parse_vkey(*arguments)
        print(verify_note(*read_note(), name, key))
    elif command == "vectors":
        vectors(*arguments)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refusal:
        raise SystemExit(f"Refused: {refusal}.") from None
