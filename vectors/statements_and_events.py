#!/usr/bin/env python3
"""Writes vectors/statements and vectors/events with nothing but the standard library.

It shares no code with the Rust crates or the browser verifier: canonical JSON, CBOR and Ed25519 are written out here again,
so that three readings of the same page must agree. Run it without arguments; the files are committed.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent


def save(folder, name, case):
    path = HERE / folder / f"{case['expect']}-{name}.json"
    path.write_text(json.dumps(case, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


# Ed25519 (RFC 8032, section 5.1), slow and plain

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    aa, bb = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    cc, dd = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = bb - aa, dd - cc, dd + cc, bb + aa
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def compress(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def secret(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return scalar, digest[32:]


def public(seed):
    return compress(times(secret(seed)[0], BASE))


def sign(seed, message):
    scalar, prefix = secret(seed)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    point = compress(times(r, BASE))
    h = int.from_bytes(hashlib.sha512(point + public(seed) + message).digest(), "little") % L
    return point + ((r + h * scalar) % L).to_bytes(32, "little")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# Statements: canonical JSON (RFC 8785) of texts, whole numbers, lists and objects

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def canonical(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"


SEED = hashlib.sha256(b"usufruct vectors: operator").digest()
TEXT = {"en": "The pass office", "zh-Hant": "市民通行證辦公室"}


def operator():
    return {
        "type": "Agency", "id": "agc_operator", "rev": 1, "at": "2026-01-01T00:00:00Z", "by": "agc_operator",
        "body": {
            "legal_name": TEXT, "kind": "operator", "contact": "1999", "protection_officer": "privacy office",
            "security_officer": "security office", "jurisdiction": "TW",
            "signing_keys": [{"id": "head", "role": "head", "public": base64url(public(SEED))}],
        },
        "approvals": [],
    }


def digest(statement):
    bare = {key: value for key, value in statement.items() if key != "approvals"}
    return hashlib.sha256(canonical(bare).encode()).digest()


def approve(statement):
    signature = sign(SEED, b"usufruct/approval/v1\n" + digest(statement))
    approval = {"agency": "agc_operator", "key": "head", "algorithm": "Ed25519", "signature": base64url(signature)}
    return {**statement, "approvals": statement["approvals"] + [approval]}


def accept_statement(name, why, statement, problem=None):
    text = canonical(statement)
    case = {"expect": "accept", "why": why, "json": text, "leaf_hex": (b"\x01\x01" + text.encode()).hex(), "hash": digest(statement).hex()}
    if len(text) > 10_000:
        del case["leaf_hex"]
    if statement["approvals"]:
        case["public"] = base64url(public(SEED))
    if problem is not None:
        case["problem"] = problem
    save("statements", name, case)


def refuse_json(name, why, text):
    save("statements", name, {"expect": "refuse", "why": why, "json": text})


def refuse_leaf(name, why, leaf):
    save("statements", name, {"expect": "refuse", "why": why, "leaf_hex": leaf.hex()})


def breaches_and_rotations():
    """Bodies that say what went wrong: read whole, or refused for the one thing that `problem` names."""

    def text(english, chinese):
        return {"en": english, "zh-Hant": chinese}

    def statement(kind, object_id, body):
        return approve({"type": kind, "id": object_id, "rev": 1, "at": "2026-02-01T09:00:00Z", "by": "agc_operator", "body": body, "approvals": []})

    def named_file(what):
        return {"title": text("Letter", "函"), "sha256": named(what).hex()}

    clock = {"law": "TW", "duty": "report_breach", "article": "12", "due_at": "2026-02-04T08:00:00Z"}
    opened = {
        "body": "agc_library", "state": "detected", "cause": "loss", "kinds": ["confidentiality"], "threat_actor": "nobody",
        "reporter": "staff", "title": text("Lost laptop", "遺失筆電"),
        "facts": text("A laptop was left in a train.", "筆電遺留於列車上。"), "first_signal_at": "2026-02-01T07:30:00Z",
        "aware_at": "2026-02-01T08:00:00Z", "from": "2026-01-31T22:00:00Z", "mandates": ["mdt_library-card"], "blocks": ["blk_name"],
        "clocks": [clock],
    }
    told = {
        **opened, "state": "closed", "severity": 2, "kinds": ["availability", "confidentiality"], "persons_estimate": 12,
        "records_estimate": 30, "consequences": text("Somebody may call.", "可能接獲來電。"), "services": ["svc_library"], "contract": "ctr_cloud", "incident": "inc_1", "until": "2026-02-01T08:00:00Z",
        "unreadable": text("The disk was encrypted.", "硬碟已加密。"), "measures": text("Its key was ended.", "已終止其金鑰。"),
        "advice": text("You need do nothing.", "您無須處理。"), "lessons": text("Laptops stay in the office.", "筆電不得攜出。"),
        "told": {"at": "2026-02-02T08:00:00Z", "residents": "12", "by_courier": "1-9", "blocks": 1, "words": named("words").hex()},
        "clocks": [
            {**clock, "answer": {"at": "2026-02-01T20:00:00Z", "proof": named_file("report")}},
            {**clock, "duty": "tell_persons", "answer": {"at": "2026-02-05T08:00:00Z", "proof": {**named_file("letter"), "url": "https://library.example/letter"}, "reason": text("The printer was broken.", "印表機故障。")}},
        ],
        "notices": [{"audience": "police", "channel": "phone", "count": 1, "at": "2026-02-01T09:00:00Z", "text": named_file("call")}],
        "log_check": {
            "at": "2026-02-02T08:00:00Z", "from_size": 10, "to_size": 20, "from_root": named("ten").hex(), "to_root": named("twenty").hex(),
            "consistent": True, "gaps": ["inc_1"],
        },
        "closed_at": "2026-02-06T08:00:00Z",
    }
    vendors = {**clock, "law": "ctr_cloud", "duty": "vendor_call", "article": "breach_first_ping_hours", "owed_by": "agc_cloud"}
    suspected = {**{key: value for key, value in opened.items() if key not in ["aware_at", "clocks"]}, "state": "suspected", "clocks": []}
    for name, why, body, problem in [
        ("breach-opened", "What is known at first, and the clock that a law sets.", opened, []),
        ("breach-told-and-closed", "Every field there is: who was told, what was sent, and what is learned.", told, []),
        ("breach-suspected", "Nobody has learned anything yet, so no law has a clock.", suspected, []),
        ("breach-suspected-and-known", "What the body has learned is no suspicion.", {**suspected, "aware_at": "2026-02-01T08:00:00Z"}, ["aware_at", "not-known"]),
        ("breach-with-a-vendor", "A clock of a contract says who owes it.", {**opened, "contract": "ctr_cloud", "clocks": [clock, vendors]}, []),
        ("breach-contained-without-an-end", "What is contained has an end.", {**opened, "state": "contained"}, ["until", "missing"]),
        ("breach-of-no-kind", "It took something from the data.", {**opened, "kinds": []}, ["kinds", "missing"]),
        ("breach-log-with-one-root", "Two trees of different sizes have different roots.", {**told, "log_check": {**told["log_check"], "to_root": named("ten").hex()}}, ["log_check.to_root", "same-root"]),
        ("breach-of-nothing", "A breach is of some mandate or service.", {key: value for key, value in opened.items() if key != "mandates"}, ["mandates", "nothing"]),
        ("breach-known-before-its-sign", "Nobody learns of it before there was a sign.", {**opened, "aware_at": "2026-02-01T07:00:00Z"}, ["aware_at", "before-sign"]),
        ("breach-told-without-advice", "Whoever is told is told what to do.", {key: value for key, value in told.items() if key != "advice"}, ["advice", "no-advice"]),
        ("breach-clock-twice", "A duty of a law has one clock.", {**opened, "clocks": [clock, clock]}, ["clocks[1]", "duplicate"]),
        ("breach-answered-with-nothing", "A clock ends with a proof or a reason.", {**opened, "clocks": [{**clock, "answer": {"at": "2026-02-01T20:00:00Z"}}]}, ["clocks[0].answer.reason", "missing"]),
        ("breach-with-persons", "A breach never names a person.", {**opened, "persons": ["Test Person"]}, ["persons", "unknown-field"]),
    ]:
        accept_statement(name, why, statement("Breach", "brc_lost-laptop", body), problem)
    rotation = {"sector": "library", "services": ["svc_library", "svc_reading-room"], "reason": text("A list got out.", "名單外洩。")}
    for name, why, body, problem in [
        ("rotation", "All pseudonyms of a domain end.", rotation, []),
        ("rotation-for-a-breach", "It may name the breach for which it is done.", {**rotation, "breach": "brc_lost-laptop"}, []),
        ("rotation-without-a-reason", "It says why, in both languages.", {key: value for key, value in rotation.items() if key != "reason"}, ["reason", "missing"]),
        ("rotation-for-an-incident", "What it names is a breach.", {**rotation, "breach": "inc_1"}, ["breach", "malformed"]),
    ]:
        accept_statement(name, why, statement("Rotation", "rot_1", body), problem)


def watched_things():
    """Bodies of cameras, agreements and what those say who watch: read whole, or refused for the one thing that `problem` names."""

    def text(english, chinese):
        return {"en": english, "zh-Hant": chinese}

    def statement(kind, object_id, body):
        return approve({"type": kind, "id": object_id, "rev": 1, "at": "2026-02-01T09:00:00Z", "by": "agc_operator", "body": body, "approvals": []})

    def document(what):
        return {"title": text("Report", "報告"), "sha256": named(what).hex(), "url": f"https://pass.example/{what}"}

    def without(body, *fields):
        return {key: value for key, value in body.items() if key not in fields}

    camera = {
        "authority": "agc_police", "installer": "agc_cloud", "applicant": "agc_parks", "permit_no": "2026-17",
        "permit_until": "2027-02-01T00:00:00Z",
        "location": {"place": text("North gate", "北門"), "latitude": "25.033964", "longitude": "121.564468", "precision_m": 5},
        "direction": "south_west", "field": text("The gate.", "大門。"), "purpose_code": "public-safety", "px_per_m": 60,
        "recording": {"kept": True, "days": 30}, "audio": False, "face_recognition": False, "joined_with_personal_data": False,
        "live_view": {"roles": ["duty officer"], "plate_hash": named("plate").hex()},
        "view_request_url": "https://police.example/view", "last_check": "2026-01-31T00:00:00Z",
    }
    asked_for = without(camera, "permit_no", "permit_until", "live_view", "last_check")
    finding = {
        "id": "access-rights", "severity": "high", "text": text("Former staff can sign in.", "離職人員仍可登入。"),
        "due": "2026-04-01T00:00:00Z", "status": "open",
    }
    eased = {**finding, "severity": "low", "status": "mended", "answer": text("The accounts were closed.", "帳號已關閉。"),
             "eased_because": text("They opened nothing.", "該帳號無任何權限。")}
    audit = {
        "auditor": "agc_oversight", "audited": "agc_library", "scope": text("Who may see loans.", "誰可查閱借閱紀錄。"),
        "standard": "ISO/IEC 27001:2022", "done_at": "2026-01-20T00:00:00Z", "next_due": "2027-01-20T00:00:00Z",
        "findings": [finding], "report": document("audit"),
    }
    ruling = {
        "body": "agc_oversight", "office": "agc_library", "mandate": "mdt_library-card", "kind": "stop", "finding": "partly",
        "remedy": "delete", "text": text("Reminders end with the last loan.", "最後一次借閱後即停止提醒。"),
    }

    def risk(kind):
        return {"kind": kind, "what": text("It could.", "有此可能。"), "before": {"likelihood": 3, "severity": 4}, "after": {"likelihood": 1, "severity": 4}}

    measure = {"what": text("Names go after a month.", "姓名一個月後刪除。"), "owner": "The office of readers", "due": "2026-03-01T00:00:00Z"}
    assessment = {
        "mandate": "mdt_library-card", "mandate_hash": named("mandate").hex(), "summary": text("Cards for readers.", "讀者證。"),
        "description": text("A name is printed.", "印製姓名。"), "necessity": text("Books come back.", "圖書得以歸還。"),
        "alternatives": [{"what": text("A deposit.", "押金。"), "rejected_because": text("The poor could not borrow.", "經濟弱勢者無法借閱。")}],
        "people": text("Readers, many of them children.", "讀者，多為兒童。"),
        "risks": [risk(kind) for kind in ["chilling", "discrimination", "error", "exclusion", "function_creep"]],
        "measures": [measure, {**measure, "done_at": "2026-01-31T00:00:00Z"}],
        "anonymity": [{"what": text("Counts of loans.", "借閱統計。"), "evidence": [document("counts")]}],
        "residents": text("Forty wrote.", "四十人來函。"), "advice": text("Keep it short.", "從簡。"),
        "dissent": text("One member would keep nothing.", "一名委員主張不留存。"), "residual": text("A leak of names.", "姓名外洩。"),
        "decision": "continue", "review_due": "2026-12-01T00:00:00Z", "review_trigger": text("A breach.", "個資事故。"),
    }
    agreement = {
        "title": text("Readers in the garden", "讀者入園"), "parties": ["agc_library", "agc_parks"],
        "purpose": text("Readers enter free.", "讀者免費入園。"),
        "legal_gateway": {"instrument": text("Culture ordinance", "文化自治條例"), "article": "9", "url": "https://law.example/9"},
        "mandates": ["mdt_joined"], "blocks": ["blk_name"],
        "transfers": [{"from": "svc_library", "to": "svc_parks", "why": text("Readers enter the garden.", "讀者入園。")}],
        "frequency": text("Once a day", "每日一次"), "estimated_persons": 1000,
        "safeguards": [text("Both log each transfer.", "雙方逐筆記錄。")], "due_diligence": [document("diligence")],
        "commercial_firewall": text("No company sees it.", "公司不得接觸。"), "impact_assessment": "https://library.example/assessment",
        "summary": text("The garden learns who is a reader.", "園方得知誰是讀者。"), "oversight_body": "agc_oversight",
        "in_force_from": "2026-03-01T00:00:00Z", "sunset_at": "2027-03-01T00:00:00Z", "review_due": "2027-02-01T00:00:00Z",
    }
    reviewed = {**agreement, "continues": "agr_garden-2025", "reviews": [
        {"at": "2026-01-31T00:00:00Z", "finding": text("It works.", "運作正常。"), "documents": [document("review")]}]}
    order = {"body": "agc_oversight", "kind": "suspend", "target": "mdt_library-card", "reasons": text("Too much is asked.", "蒐集過多。")}
    draw = {"from": "2026-01-01", "to": "2026-01-31", "days": 3, "chance": hashlib.sha256(named("secret")).hexdigest()}
    recount = {**order, "kind": "audit", "comply_by": "2026-03-01T00:00:00Z", "draw": draw}
    compelled = {
        **order, "kind": "correct", "effective_at": "2026-02-02T00:00:00Z", "comply_by": "2026-03-01T00:00:00Z",
        "evidence": [document("done")], "compulsion": [document("compelled")], "appeal_ref": "Court 2026-4",
    }
    block = {
        "name": text("Home address", "居住地址"), "category": "pd:PhysicalAddress", "sensitivity": "ordinary", "source_agency": "agc_library",
        "attributes": [text("City", "縣市"), text("Road", "路名")], "forms_allowed": ["token", "value"], "correctable": False,
    }
    evidence = {"kind": "ISO 27001", "issuer": "An auditor", "expires": "2027-01-31T00:00:00Z", "sha256": named("certificate").hex()}
    penalty = {"trigger": text("A day late", "逾期每日"), "amount": "TWD 1,000"}
    contract = {
        "controller": "agc_library", "vendor": "agc_cloud", "mandates": ["mdt_library-card"], "scope": text("Sends reminders.", "寄送通知。"),
        "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "capability_evidence": [evidence], "measures": [text("Locks.", "門鎖。")],
        "data_locations": ["TW"], "cloud_provider": "none", "subprocessors": [], "breach_first_ping_hours": 1, "breach_report_hours": 24,
        "check_every": "P90D", "next_check_due": "2026-03-01T00:00:00Z", "penalty": text("A fine.", "違約金。"), "penalties": [penalty],
        "no_own_purpose": True, "delete_within_days": 30, "value_blocks": [],
    }
    step = {
        "object": "mdt_library-card", "revision": named("mandate").hex(), "from": "active", "to": "suspended",
        "reason": text("A laptop was lost.", "筆電遺失。"),
    }
    grounds = {**step, "reason_code": "breach", "breach": "brc_lost-laptop", "law": "Act 12", "evidence": [document("report")]}
    for kind, object_id, name, why, body, problem in [
        ("Camera", "cam_north-gate", "camera", "Every field of a camera there is.", camera, []),
        ("Camera", "cam_north-gate", "camera-asked-for", "Who asks for it knows no permit yet.", asked_for, []),
        ("Camera", "cam_north-gate", "camera-that-hears", "No camera hears.", {**camera, "audio": True}, ["audio", "forbidden"]),
        ("Camera", "cam_north-gate", "camera-of-its-own-applicant", "Who permits it is another body than who asks for it.", {**camera, "applicant": "agc_police"}, ["applicant", "itself"]),
        ("Camera", "cam_north-gate", "camera-with-an-altitude", "A place has four fields.", {**camera, "location": {**camera["location"], "altitude": "7"}}, ["location.altitude", "unknown-field"]),
        ("BodyAudit", "bau_library", "body-audit", "What an auditor found at a body.", audit, []),
        ("BodyAudit", "bau_library", "body-audit-eased", "A finding that was mended, and why it weighs less.", {**audit, "findings": [eased]}, []),
        ("BodyAudit", "bau_library", "body-audit-of-itself", "No body audits itself.", {**audit, "auditor": "agc_library"}, ["auditor", "itself"]),
        ("BodyAudit", "bau_library", "body-audit-accepted-in-silence", "Who does nothing about a finding says why.", {**audit, "findings": [{**finding, "status": "accepted"}]}, ["findings[0].answer", "missing"]),
        ("Ruling", "rul_1", "ruling", "What a decision came to, in words that name nobody.", ruling, []),
        ("Ruling", "rul_1", "ruling-dismissed", "A case of no mandate that came to nothing.", {**without(ruling, "mandate", "remedy"), "finding": "dismissed"}, []),
        ("Ruling", "rul_1", "ruling-dismissed-with-a-remedy", "Nothing is ordered where nothing was found.", {**ruling, "finding": "dismissed"}, ["remedy", "dismissed"]),
        ("Ruling", "rul_1", "ruling-with-a-case", "A ruling does not say whose case it was.", {**ruling, "case": "cas_7"}, ["case", "unknown-field"]),
        ("Assessment", "dpi_library-card", "assessment", "Every question there is, with its answer.", assessment, []),
        ("Assessment", "dpi_library-card", "assessment-without-what-may-be-left-out", "Nobody dissents and nothing is claimed to name nobody.", {**without(assessment, "dissent", "anonymity"), "decision": "prior_consultation"}, []),
        ("Assessment", "dpi_library-card", "assessment-silent-of-a-risk", "Each of the five risks is weighed.", {**assessment, "risks": assessment["risks"][:-1]}, ["risks", "missing"]),
        ("Agreement", "agr_garden", "agreement", "What two bodies agree on.", agreement, []),
        ("Agreement", "agr_garden", "agreement-reviewed", "It goes on from another one, and was looked at.", reviewed, []),
        ("Agreement", "agr_garden", "agreement-with-itself", "One body agrees with nobody.", {**agreement, "parties": ["agc_library"]}, ["parties", "alone"]),
        ("Agreement", "agr_garden", "agreement-that-is-looked-at-too-late", "It is looked at before it ends.", {**agreement, "review_due": "2027-03-02T00:00:00Z"}, ["review_due", "outside"]),
        ("Order", "ord_1", "order", "An order that the machine carries out.", order, []),
        ("Order", "ord_1", "order-to-restrict", "Only these blocks may still be used.", {**order, "kind": "restrict", "blocks": ["blk_name"]}, []),
        ("Order", "ord_1", "order-to-name", "An officer is named by the commitment of the event.", {**order, "kind": "disclose_actor", "comply_by": "2026-03-01T00:00:00Z", "events": [named("event").hex()]}, []),
        ("Order", "ord_1", "order-to-recount", "From these days chance chooses, by a secret that the order binds.", recount, []),
        ("Order", "ord_1", "order-appealed-and-enforced", "What was done about it is added by later revisions.", compelled, []),
        ("Order", "ord_1", "order-to-lift", "It ends another order.", {**order, "kind": "lift", "lifts": "ord_0"}, []),
        ("Order", "ord_1", "order-draw-backwards", "The first day comes before the last.", {**recount, "draw": {**draw, "to": "2025-12-31"}}, ["draw.to", "before-start"]),
        ("Order", "ord_1", "order-draw-with-its-secret", "The secret is told afterwards.", {**recount, "draw": {**draw, "secret": named("secret").hex()}}, ["draw.secret", "unknown-field"]),
        ("Order", "ord_1", "order-draw-of-a-suspension", "Only the audit of a mandate draws days.", {**order, "draw": draw}, ["draw", "other-kind"]),
        ("StatusChange", "sta_1", "step", "A step with its reason alone.", step, []),
        ("StatusChange", "sta_1", "step-with-grounds", "The breach, the article and the document on which it rests.", grounds, []),
        ("StatusChange", "sta_1", "step-of-no-sort", "The sorts of reasons are a closed list.", {**grounds, "reason_code": "because"}, ["reason_code", "unknown-word"]),
        ("DataBlock", "blk_address", "block", "What a value consists of, one entry for each part.", block, []),
        ("DataBlock", "blk_address", "block-of-one-thing", "A block from before its parts were asked for.", without(block, "attributes"), []),
        ("DataBlock", "blk_address", "block-in-one-language", "Every part is named in both languages.", {**block, "attributes": [{"en": "Road"}]}, ["attributes[0].zh-Hant", "missing"]),
        ("Contract", "ctr_cloud", "contract", "Whose cloud keeps the data, what faults cost, and the papers by their hash.", contract, []),
        ("Contract", "ctr_cloud", "contract-of-before", "A contract from before these were asked for.", {**without(contract, "cloud_provider", "penalties"), "capability_evidence": [without(evidence, "sha256")]}, []),
        ("Contract", "ctr_cloud", "contract-with-a-fault-that-costs-nothing", "A penalty has an amount.", {**contract, "penalties": [without(penalty, "amount")]}, ["penalties[0].amount", "missing"]),
        ("StatusChange", "sta_1", "step-for-an-incident", "What it rests on is a breach.", {**grounds, "breach": "inc_1"}, ["breach", "malformed"]),
        ("StatusChange", "sta_1", "step-with-a-bare-hash", "A document has a title.", {**grounds, "evidence": [without(document("report"), "title")]}, ["evidence[0].title", "missing"]),
    ]:
        accept_statement(name, why, statement(kind, object_id, body), problem)


def counted_cases():
    """Bodies of case tallies: read whole, or refused for the one thing that `problem` names."""

    def line(what, count, kind="access"):
        return {"kind": kind, "what": what, "count": count}

    quiet = {"agency": "agc_library", "month": "2026-01"}
    told = [line("filed", "40"), line("in_time", "30"), line("late", "10"), line("upheld", "30")]
    hidden = [line("filed", "10+"), line("in_time", "10+"), line("late", "1-9"), line("upheld", "10+")]
    older = [line("acknowledged", "10"), line("acknowledged_late", "1-9"), line("filed", "12")]
    for name, why, counts, problem in [
        ("case-tally", "Counts that hide nothing stand as they are.", told, []),
        ("case-tally-that-hides", "Beside a small count, those from which it could be subtracted say that they are not small.", hidden, []),
        ("case-tally-of-two-kinds", "A small count of one kind hides nothing of another.", told + [line("filed", "1-9", "stop")], []),
        ("case-tally-from-before", "What was told of acknowledgements and filings in the first tallies is still read.", older, []),
        ("case-tally-of-nothing", "A month in which nothing happened has no counts.", [], []),
        ("case-tally-subtracted", "30 answers in time of which 28 were upheld say that 2 were not.", [line("dismissed", "1-9"), line("in_time", "10+"), line("upheld", "28")], ["counts", "subtractable"]),
        ("case-tally-of-few", "Nobody says how many fewer than ten are.", [line("filed", "7")], ["counts[0].count", "malformed"]),
        ("case-tally-of-naught", "What did not happen has no line.", [line("filed", "0")], ["counts[0].count", "nothing"]),
        ("case-tally-out-of-order", "The counts stand in the order of their words.", told[::-1], ["counts", "not-sorted"]),
        ("case-tally-twice", "A count stands once.", [told[0], told[0]], ["counts", "not-sorted"]),
    ]:
        body = {**quiet, "counts": counts} if counts else quiet
        statement = {"type": "CaseTally", "id": "cst_library-2026-01", "rev": 1, "at": "2026-02-01T09:00:00Z", "by": "agc_operator", "body": body, "approvals": []}
        accept_statement(name, why, approve(statement), problem)


def statements():
    plain = operator()
    text = canonical(plain)

    def with_body(body):
        return {**plain, "body": body}

    def change(old, new):
        assert text.count(old) == 1, (old, text.count(old))
        return text.replace(old, new)

    def in_body(inner):
        return canonical(with_body({"x": "HERE"})).replace('"HERE"', inner)

    accept_statement("without-approvals", "A statement that nobody has signed is well formed; the register refuses it.", plain)
    accept_statement("operator-signed", "The operator's first statement with one Ed25519 approval.", approve(plain))
    second = {**plain, "rev": 2, "prev": digest(plain).hex(), "at": "2026-01-02T00:00:00.000001Z"}
    accept_statement("second-revision", "It names the hash of the first revision; times go down to the microsecond.", approve(second))
    accept_statement("two-approvals", "The same approval twice is well formed.", approve(approve(plain)))
    accept_statement("half-second", "A fraction of a second stands without zeros at its end.", {**plain, "at": "2026-01-01T00:00:00.5Z"})
    keys = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7, "A": 8, "a": 9, "": 10}
    accept_statement("keys-by-utf16", "Keys are ordered by UTF-16 code units, so U+1F600 stands before U+FB33 (RFC 8785, 3.2.3).", with_body(keys))
    controls = "".join(map(chr, range(0x20))) + "\"\\/\u007f\u2028\u2029\u00e9e\u0301\U0001f600"
    accept_statement("escapes", "Control characters have one escape each; everything else stands as itself and is not normalised.", with_body({"x": controls}))
    accept_statement("largest-numbers", "Whole numbers up to 2^53-1 on both sides.", with_body({"x": [2**53 - 1, 1 - 2**53, 0]}))
    accept_statement("body-of-any-kind", "The form of the body is a question for the register.", {**plain, "body": [None, True, False, "", [], {}]})
    deep = "HERE"
    for _ in range(60):
        deep = [deep]
    accept_statement("nested-60-deep", "Sixty lists in each other.", with_body({"x": deep}))
    breaches_and_rotations()
    watched_things()
    counted_cases()
    room = 65_000 - len(canonical(with_body({"x": ""})).encode())
    accept_statement("longest", "65,000 bytes of canonical JSON are the most.", with_body({"x": "x" * room}))
    refuse_json("one-byte-too-long", "65,001 bytes.", canonical(with_body({"x": "x" * (room + 1)})))
    refuse_json("nested-too-deep", "Two hundred lists in each other; readers stop at 127 levels.", in_body("[" * 200 + "]" * 200))

    refuse_json("key-order", "`at` stands before `approvals`: the keys are not sorted.",
                change('"at":"2026-01-01T00:00:00Z",', "").replace('{"approvals"', '{"at":"2026-01-01T00:00:00Z","approvals"', 1))
    refuse_json("key-order-in-body", "Sorting holds at every depth.", in_body('{"b":1,"a":2}'))
    refuse_json("keys-by-code-point", "U+FB33 stands before U+1F600: sorted by code points instead of UTF-16 code units.", in_body('{"\ufb33":3,"\U0001f600":5}'))
    refuse_json("key-twice", "The type stands twice.", text[:-1] + ',"type":"Agency"}')
    refuse_json("key-twice-in-body", "A key of the body stands twice, with the same value.", in_body('{"a":1,"a":1}'))
    for name, number in [("float", "1.5"), ("float-of-whole", "1.0"), ("exponent", "1e2"), ("minus-zero", "-0"), ("plus", "+1"),
                         ("leading-zero", "01"), ("two-to-the-53", str(2**53)), ("minus-two-to-the-53", str(-(2**53))),
                         ("beyond-64-bits", str(2**64)), ("not-a-number", "NaN"), ("hexadecimal", "0x10")]:
        refuse_json(f"number-{name}", "Numbers are whole, below 2^53 and written in one way.", in_body(number))
    refuse_json("space", "Canonical JSON has no spaces.", in_body('{"a": 1}'))
    refuse_json("newline-at-the-end", "Nothing follows the last brace.", text + "\n")
    refuse_json("two-values", "Nothing follows the last brace.", text + text)
    refuse_json("comma-at-the-end", "No comma stands before a brace.", text[:-1] + ",}")
    refuse_json("comment", "JSON has no comments.", text[:-1] + "/**/}")
    refuse_json("truncated", "The last brace is missing.", text[:-1])
    refuse_json("escaped-slash", "A slash stands as itself.", in_body('"\\/"'))
    refuse_json("escaped-letter", "A letter stands as itself.", in_body('"\\u00e9"'))
    refuse_json("escape-in-capitals", "Escapes are written in small letters.", in_body('"\\u001F"'))
    refuse_json("long-escape", "A line feed has a short escape.", in_body('"\\u000a"'))
    refuse_json("raw-control-character", "Control characters are escaped.", in_body('"\t"'))
    refuse_json("lone-surrogate", "Half a character is none.", in_body('"\\ud83d"'))
    refuse_json("unknown-field", "There are eight fields and no more.", text[:-1] + ',"visibility":"delayed"}')
    refuse_json("unknown-field-in-approval", "An approval has four fields.",
                canonical(approve(plain)).replace('"key":"head"', '"hidden":true,"key":"head"', 1))
    for field in ["approvals", "at", "body", "by", "id", "rev", "type"]:
        refuse_json(f"without-{field}", f"`{field}` is missing.", canonical({key: value for key, value in plain.items() if key != field}))
    for field in ["agency", "algorithm", "key", "signature"]:
        signed = approve(plain)
        del signed["approvals"][0][field]
        refuse_json(f"approval-without-{field}", f"The approval has no `{field}`.", canonical(signed))
    refuse_json("prev-null", "A first revision has no `prev` at all.", canonical({**plain, "prev": None}))
    refuse_json("prev-in-capitals", "Hashes are written in small letters.", canonical({**second, "prev": digest(plain).hex().upper()}))
    refuse_json("prev-too-short", "A hash has 64 digits.", canonical({**second, "prev": "00"}))
    refuse_json("approvals-null", "A list is never null.", canonical({**plain, "approvals": None}))
    for name, rev in [("negative", -1), ("text", "1"), ("null", None)]:
        refuse_json(f"rev-{name}", "The revision is a whole number.", canonical({**plain, "rev": rev}))
    for name, at in [("with-offset", "2026-01-01T08:00:00+08:00"), ("bare-day", "2026-01-01"), ("zeros", "2026-01-01T00:00:00.000Z"),
                     ("nanoseconds", "2026-01-01T00:00:00.0000001Z"), ("small-letters", "2026-01-01t00:00:00z"),
                     ("with-space", "2026-01-01 00:00:00Z"), ("leap-second", "2026-12-31T23:59:60Z"), ("no-seconds", "2026-01-01T00:00Z"),
                     ("local", "2026-01-01T00:00:00"), ("zone-name", "2026-01-01T00:00:00Z[UTC]"), ("empty", ""), ("number", 0)]:
        refuse_json(f"time-{name}", "A time has one form: RFC 3339 in UTC, at most microseconds, no needless zeros.", canonical({**plain, "at": at}))
    for name, kind in [("unknown", "Decree"), ("small-letters", "agency"), ("null", None), ("object", {"Agency": None})]:
        refuse_json(f"type-{name}", "The type is one of a closed list.", canonical({**plain, "type": kind}))
    for name, by in [("other-prefix", "mdt_operator"), ("capitals", "agc_Operator"), ("empty", ""), ("too-long", "agc_" + "a" * 61)]:
        refuse_json(f"by-{name}", "Who speaks is the id of an agency.", canonical({**plain, "by": by}))
    refuse_json("id-number", "The id is a text.", canonical({**plain, "id": 1}))
    for name, value in [("list", "[]"), ("null", "null"), ("text", '"Agency"'), ("empty-object", "{}")]:
        refuse_json(f"bare-{name}", "A statement is an object with its fields.", value)

    leaf = b"\x01\x01" + text.encode()
    refuse_leaf("leaf-empty", "No bytes at all.", b"")
    refuse_leaf("leaf-prefix-only", "Nothing follows the prefix.", b"\x01\x01")
    refuse_leaf("leaf-without-prefix", "The prefix 0x01 0x01 is missing.", text.encode())
    refuse_leaf("leaf-half-prefix", "The prefix has two bytes.", leaf[1:])
    refuse_leaf("leaf-of-an-event", "0x01 0x02 begins an event.", b"\x01\x02" + text.encode())
    refuse_leaf("leaf-of-another-version", "0x02 0x01 is no known version.", b"\x02\x01" + text.encode())
    refuse_leaf("leaf-with-byte-order-mark", "Canonical JSON begins with a brace.", b"\x01\x01\xef\xbb\xbf" + text.encode())
    refuse_leaf("leaf-not-utf8", "0xff is no UTF-8.", b"\x01\x01" + in_body('"?"').encode().replace(b'"?"', b'"\xff"'))
    refuse_leaf("leaf-overlong-utf8", "0xc0 0xaf is a slash in two bytes.", b"\x01\x01" + in_body('"?"').encode().replace(b'"?"', b'"\xc0\xaf"'))
    refuse_leaf("leaf-surrogate-in-utf8", "Half a character in three bytes.", b"\x01\x01" + in_body('"?"').encode().replace(b'"?"', b'"\xed\xa0\xbd"'))
    refuse_leaf("leaf-zero-byte-at-the-end", "Nothing follows the last brace.", leaf + b"\x00")


# Events: deterministic CBOR (RFC 8949, 4.2.1)


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for code, form, limit in [(24, ">B", 2**8), (25, ">H", 2**16), (26, ">I", 2**32), (27, ">Q", 2**64)]:
        if n < limit:
            return bytes([major << 5 | code]) + struct.pack(form, n)
    raise ValueError(n)


def number(n):
    return head(0, n)


def octets(data):
    return head(2, len(data)) + data


def words(text):
    return head(3, len(text.encode())) + text.encode()


def array(*items):
    return head(4, len(items)) + b"".join(items)


def fields_of(event):
    """The entries of the map in their order, each as (key, encoded value)."""
    entries = [
        (0, number(1)),
        (1, words(event["kind"])),
        (2, number(int(event["n"]))),
        (3, octets(bytes.fromhex(event["prev"] or ""))),
        (4, number(int(event["at_micros"]))),
        (7, array(*[array(words(block), words(form)) for block, form in event["blocks"]])),
        (8, words(event["reason"])),
        (10, words("immediate" if int(event["n"]) < 2**32 else "delayed")),
    ]
    if event["mandate"]:
        entries.append((5, octets(bytes.fromhex(event["mandate"]))))
    if event["service"]:
        entries.append((6, words(event["service"])))
    if event["actor"]:
        entries.append((9, octets(bytes.fromhex(event["actor"]))))
    if event["batch"]:
        entries.append((11, array(octets(bytes.fromhex(event["batch"]["id"])), number(int(event["batch"]["size"])))))
    for key, field in [(12, "clause"), (13, "detail")]:
        if event[field] is not None:
            entries.append((key, words(event[field])))
    if event["until_micros"]:
        entries.append((14, number(int(event["until_micros"]))))
    if event.get("other") is not None:
        entries.append((15, words(event["other"])))
    if event.get("source"):
        source = event["source"]
        happened = [number(int(source["happened_at_micros"]))] if source["happened_at_micros"] else []
        entries.append((16, array(words(source["source"]), number(int(source["number"])), *happened)))
    if event.get("closed"):
        closed = event["closed"]
        entries.append((17, array(octets(bytes.fromhex(closed["commitment"])), number(int(closed["shown_from_micros"])))))
    if event.get("anchor"):
        entries.append((18, octets(bytes.fromhex(event["anchor"]))))
    if event.get("foreign"):
        foreign = event["foreign"]
        ids = [octets(bytes.fromhex(foreign[field] or "")) for field in ["trace_id", "operation_id", "parent_operation_id"]]
        entries.append((19, array(*ids, words(foreign["entity"]))))
    return sorted(entries)


def encode(entries):
    return head(5, len(entries)) + b"".join(number(key) + value for key, value in entries)


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def named(what):
    return hashlib.sha256(f"usufruct vectors: {what}".encode()).digest()


TAG_KEY = named("tag key")


def event(**changes):
    base = {
        "kind": "use", "n": "0", "prev": None, "at_micros": "1767225600000000", "mandate": named("mandate").hex(),
        "service": "svc_library", "blocks": [["blk_name", "value"], ["blk_age", "predicate"]], "reason": "reminder", "actor": None,
        "batch": None, "clause": None, "detail": None, "until_micros": None,
    }
    return {**base, **changes}


def accept_event(name, why, fields, **more):
    cbor = encode(fields_of(fields))
    opening = named(f"opening of {name}")
    commitment = mac(opening, b"usufruct/event/v1", struct.pack(">I", len(cbor)), cbor)
    tag = mac(TAG_KEY, b"usufruct/tag/v1", struct.pack(">Q", int(fields["n"])))
    save("events", name, {
        "expect": "accept", "why": why, "event": fields, "cbor_hex": cbor.hex(), "opening_hex": opening.hex(),
        "commitment_hex": commitment.hex(), "tag_key_hex": TAG_KEY.hex(), "n": fields["n"], "tag_hex": tag.hex(),
        "leaf_hex": (b"\x01\x02" + commitment + tag).hex(),
        **more,
    })
    return commitment.hex()


def accept_closed(name, why, reason, to, **changes):
    """An event that closes its matter, and what opens it."""
    matter = array(words(reason), *([] if to is None else [words(to)]))
    opening = named(f"matter of {name}")
    commitment = mac(opening, b"usufruct/matter/v1", struct.pack(">I", len(matter)), matter)
    closed = {"commitment": commitment.hex(), "shown_from_micros": "1775001600000000"}
    accept_event(name, why, event(reason="", closed=closed, **changes), matter={
        "reason": reason, "detail": to, "cbor_hex": matter.hex(), "opening_hex": opening.hex(),
    })


# 18 May 2026 is the Monday of week 2941, counted from that of 5 January 1970 in Taipei.
WEEK = 2941
LAST_WEEK = 5218


def seeds():
    """The seed of each week from the last to week 2900."""
    seed, all_seeds = named("delay seed"), {}
    for week in range(LAST_WEEK, 2899, -1):
        all_seeds[week] = seed
        seed = hashlib.sha256(b"usufruct/delay-seed/v1" + seed).digest()
    return all_seeds


def delay():
    """What one resident's seeds give: chain, tag keys, tags, and keys of lines."""
    all_seeds = seeds()
    weeks = []
    for week in [2900, WEEK - 1, WEEK, WEEK + 1, LAST_WEEK]:
        seed = all_seeds[week]
        key = mac(seed, b"usufruct/delayed-tag/v1")
        begins = week * 7 * 86_400_000_000 + 4 * 86_400_000_000 - 8 * 3_600_000_000
        tags = [{"n": str(n), "tag_hex": mac(key, b"usufruct/tag/v1", struct.pack(">Q", n)).hex()} for n in [week << 32, (week << 32) + 1]]
        line = mac(named("footprint key"), b"usufruct/delayed-line/v1", seed)
        weeks.append({"week": week, "begins_micros": str(begins), "seed_hex": seed.hex(), "tag_key_hex": key.hex(), "tags": tags, "line_key_hex": line.hex()})
    save("delay", "weeks", {"expect": "accept", "footprint_key_hex": named("footprint key").hex(), "weeks": weeks})
    openings = []
    for at, days in [(1767225600000000, 30), (1767225600000000, 7), (1767539999999999, 7), (1767540000000000, 7), (1779033600000000, 180)]:
        week = (at + days * 86_400_000_000 - 4 * 86_400_000_000 + 8 * 3_600_000_000) // (7 * 86_400_000_000)
        openings.append({"at_micros": str(at), "max_days": days, "week": week})
    save("delay", "openings", {"expect": "accept", "openings": openings})


def refuse_event(name, why, cbor):
    save("events", name, {"expect": "refuse", "why": why, "cbor_hex": cbor.hex()})


def events():
    chain = [
        ("consent", dict(kind="consent", reason="sign-up", until_micros="1798761600000000")),
        ("use", dict(kind="use", actor=named("actor").hex(), until_micros="1769904000000000")),
        ("refusal", dict(kind="refusal", clause="rate-cap")),
        ("withdrawal", dict(kind="withdrawal", blocks=[], reason="")),
    ]
    previous = None
    for n, (name, changes) in enumerate(chain):
        why = f"Event {n} of one resident's chain; each names the commitment of the one before."
        at = str(1767225600000000 + n * 60_000_000)
        previous = accept_event(f"chain-{n}-{name}", why, event(n=str(n), prev=previous, at_micros=at, **changes))

    bare = dict(mandate=None, service=None, blocks=[], reason="")
    accept_event("smallest", "No optional field, every number zero.", event(at_micros="0", **bare))
    everything = dict(actor=named("actor").hex(), batch={"id": named("batch")[:16].hex(), "size": "10000"}, clause="form",
                      detail="cas_1", until_micros="1769904000000001", prev=named("prev").hex(), n="7")
    accept_event("everything", "Every field there is.", event(**everything))
    for kind in ["authorization-given-back", "breach-notified", "case", "conversion", "correction", "delegation", "deposit", "erasure", "grant", "objection", "sign-in", "status"]:
        accept_event(f"kind-{kind}", "Every kind has its word.", event(kind=kind, **bare))
    accept_event("other", "The other person of a delegation stands in the resident's own word.",
                 event(kind="consent", reason="consent", until_micros="1798761600000000", other="我女兒"))
    accept_event("source-pass", "The pass counts its own uses under the mandate.",
                 event(source={"source": "pass", "number": "1", "happened_at_micros": None}))
    accept_event("source-reported", "A system outside reports under a number of its own, and says when it happened.",
                 event(source={"source": "svc_clinic", "number": "4711", "happened_at_micros": "1767225540000000"}))
    operation = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "operation_id": "00f067aa0ba902b7", "parent_operation_id": None, "entity": "loans"}
    of_clinic = {"source": "svc_clinic", "number": "4712", "happened_at_micros": "1767225540000000"}
    accept_event("operation", "A system outside says by which ids it knows what it reports.", event(source=of_clinic, foreign=operation))
    accept_event("operation-called-by-another", "It was called by another operation of the same trace.",
                 event(source=of_clinic, foreign=operation | {"parent_operation_id": "b7ad6b7169203331"}))
    accept_closed("closed-matter", "The matter concerns somebody else: the event binds it and does not say it.", "enquiry", None)
    accept_closed("closed-conversion", "With the service whose pseudonyms were asked for.", "enquiry", "svc_wills", kind="conversion", blocks=[])
    accept_closed("closed-refusal", "What of her own led to a refusal is no matter of somebody else.", "enquiry", None, kind="refusal",
                  clause="suspension", detail="case")
    accept_closed("closed-without-reason", "A refused request may have given no reason of the mandate.", "", None, kind="refusal", clause="reason")
    seed = seeds()
    delayed = str(WEEK << 32)
    first = accept_event("delayed-0", "A number from 2^32 on is a place in the week on which the line opens, and says that it is delayed.",
                         event(kind="consent", reason="notified", n=delayed, **{k: v for k, v in bare.items() if k != "reason"}))
    accept_event("delayed-1", "Each week has a chain of its own.", event(n=str((WEEK << 32) + 1), prev=first))
    accept_event("anchor", "A line binds the seeds of all weeks to come by that of its own week.",
                 event(kind="sign-in", anchor=seed[2921].hex(), **{**bare, "reason": "sign-in"}))
    for n in [23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53, 2**64 - 1]:
        accept_event(f"number-{n}", "Whole numbers take the shortest of five forms.", event(n=str(n), **bare))
    for length in [23, 24, 255, 256]:
        accept_event(f"reason-of-{length}-bytes", "Lengths take the shortest form too.", event(**{**bare, "reason": "r" * length}))
    accept_event("reason-in-chinese", "Texts are UTF-8; the length counts bytes.", event(reason="通知還書📚"))
    accept_event("block-in-three-forms", "A block may stand several times; order is kept.",
                 event(blocks=[["blk_name", "value"], ["blk_name", "token"], ["blk_name", "predicate"]]))
    accept_event("30-blocks", "More than 23 blocks.", event(blocks=[[f"blk_{i}", "token"] for i in range(30)]))
    accept_event("empty-clause", "An empty text is not an absent one.", event(clause="", detail=""))
    accept_event("latest-time", "The last microsecond of the times there are.", event(at_micros="253402207200999999"))

    good = fields_of(event())
    whole = encode(good)

    def replaced(key, value):
        return encode([(k, value if k == key else v) for k, v in good])

    refuse_event("empty", "No bytes at all.", b"")
    refuse_event("no-map", "A list instead of a map.", array(number(1)))
    refuse_event("empty-map", "No field at all.", head(5, 0))
    refuse_event("truncated", "The last byte is missing.", whole[:-1])
    refuse_event("byte-at-the-end", "Nothing follows the map.", whole + b"\x00")
    refuse_event("twice", "Nothing follows the map.", whole + whole)
    refuse_event("order", "Two keys are exchanged.", encode([good[1], good[0]] + good[2:]))
    refuse_event("key-twice", "A key stands twice with the same value.", encode(good[:1] + good))
    refuse_event("unknown-key", "Key 99 means nothing.", encode(good + [(99, number(1))]))
    refuse_event("negative-key", "Keys are not negative.", head(5, len(good) + 1) + whole[1:] + head(1, 0) + number(0))
    refuse_event("text-key", "Keys are numbers.", head(5, len(good) + 1) + whole[1:] + words("note") + number(0))
    for key in [0, 1, 2, 3, 4, 7, 8, 10]:
        refuse_event(f"without-key-{key}", "A field that every event has is missing.", encode([entry for entry in good if entry[0] != key]))
    refuse_event("map-without-length", "The map must say its length.", b"\xbf" + whole[1:] + b"\xff")
    refuse_event("text-without-length", "A text must say its length.", replaced(8, b"\x7f" + words("remin") + words("der") + b"\xff"))
    refuse_event("list-without-length", "A list must say its length.", replaced(7, b"\x9f\xff"))
    refuse_event("bytes-without-length", "Bytes must say their length.", replaced(5, b"\x5f" + octets(named("mandate")) + b"\xff"))
    refuse_event("long-number", "0 stands in two bytes instead of one.", replaced(2, b"\x18\x00"))
    refuse_event("long-length", "The length of a text stands in two bytes instead of one.", replaced(8, b"\x78\x08reminder"))
    refuse_event("long-key", "A key stands in two bytes instead of one.", encode(good).replace(b"\x08" + words("reminder"), b"\x18\x08" + words("reminder")))
    refuse_event("long-map", "The length of the map stands in two bytes instead of one.", b"\xb8" + bytes([len(good)]) + whole[1:])
    refuse_event("too-few-entries", "The map says one entry less than it has.", bytes([whole[0] - 1]) + whole[1:])
    refuse_event("too-many-entries", "The map says one entry more than it has.", bytes([whole[0] + 1]) + whole[1:])
    refuse_event("endless-map", "The map says 2^64-1 entries.", b"\xbb" + b"\xff" * 8 + whole[1:])
    refuse_event("endless-blocks", "The list says 2^64-1 blocks.", replaced(7, b"\x9b" + b"\xff" * 8))
    refuse_event("endless-text", "The text says 2^64-1 bytes.", replaced(8, b"\x7b" + b"\xff" * 8))
    refuse_event("version-2", "Only version 1 is known.", replaced(0, number(2)))
    refuse_event("unknown-kind", "The kind is one of a closed list.", replaced(1, words("secret-use")))
    refuse_event("kind-in-capitals", "Words have one spelling.", replaced(1, words("Use")))
    refuse_event("negative-number", "Events count from 0.", replaced(2, head(1, 0)))
    refuse_event("float", "Numbers are whole.", replaced(2, b"\xf9\x00\x00"))
    refuse_event("null", "Null is no value.", replaced(8, b"\xf6"))
    refuse_event("tagged", "Values carry no tags.", replaced(4, b"\xc1" + number(1767225600000000)))
    refuse_event("big-number", "A number in a tag is no number.", replaced(2, b"\xc2\x41\x00"))
    for length in [1, 31, 33]:
        refuse_event(f"prev-of-{length}-bytes", "The commitment before has 32 bytes, or none for event 0.", replaced(3, octets(b"\x01" * length)))
    for length in [0, 31, 33]:
        refuse_event(f"mandate-of-{length}-bytes", "A hash has 32 bytes.", replaced(5, octets(b"\x01" * length)))
    refuse_event("prev-as-text", "Commitments are bytes.", replaced(3, words("")))
    refuse_event("service-of-another-kind", "A service has the prefix svc.", replaced(6, words("mdt_library")))
    refuse_event("block-of-another-kind", "A block has the prefix blk.", replaced(7, array(array(words("agc_name"), words("value")))))
    refuse_event("unknown-form", "There are three forms.", replaced(7, array(array(words("blk_name"), words("everything")))))
    refuse_event("block-without-form", "A block has its form.", replaced(7, array(array(words("blk_name")))))
    refuse_event("block-with-three-parts", "A block has its form and nothing else.", replaced(7, array(array(words("blk_name"), words("value"), number(0)))))
    refuse_event("delayed", "No line in her own chain is delayed.", replaced(10, words("delayed")))
    refuse_event("delayed-at-once", "No line that opens in a week is shown at once.", encode([(2, number(WEEK << 32)) if k == 2 else (k, v) for k, v in good]))
    refuse_event("disclosure-unknown", "A line is immediate or delayed.", replaced(10, words("never")))
    refuse_event("anchor-of-31-bytes", "A seed has 32 bytes.", encode(good + [(18, octets(b"\x01" * 31))]))
    refuse_event("reason-not-utf8", "0xff is no UTF-8.", replaced(8, head(3, 1) + b"\xff"))
    refuse_event("reason-as-bytes", "A reason is a text.", replaced(8, octets(b"reminder")))
    refuse_event("time-too-late", "One microsecond after the last time there is.", replaced(4, number(253402207201000000)))
    refuse_event("time-beyond-63-bits", "No such time exists.", replaced(4, number(2**63)))
    refuse_event("batch-without-size", "A batch has its size.", encode(good + [(11, array(octets(b"\x01" * 16)))]))
    refuse_event("batch-id-of-15-bytes", "The id of a batch has 16 bytes.", encode(good + [(11, array(octets(b"\x01" * 15), number(2)))]))
    refuse_event("other-as-bytes", "The word for the other person is a text.", encode(good + [(15, octets(b"x"))]))
    for name, why, value in [
        ("source-without-number", "A source has its number.", array(words("pass"))),
        ("source-with-four-parts", "A source has its number and at most a time.", array(words("pass"), number(1), number(2), number(3))),
        ("source-unknown", "A source is the pass or a service.", array(words("agc_clinic"), number(1))),
        ("source-as-text", "A source stands in a list with its number.", words("pass")),
        ("source-number-as-text", "The number of a source is a number.", array(words("pass"), words("1"))),
    ]:
        refuse_event(name, why, encode(good + [(16, value)]))
    trace, span = octets(b"\x01" * 16), octets(b"\x02" * 8)
    for name, why, value in [
        ("operation-without-name", "An operation says whose it is.", array(trace, span, octets(b""))),
        ("operation-with-an-empty-name", "The name has at least one byte.", array(trace, span, octets(b""), words(""))),
        ("operation-with-a-long-name", "The name has at most 200 bytes.", array(trace, span, octets(b""), words("x" * 201))),
        ("operation-of-zeros", "Zeros are no id.", array(trace, octets(bytes(8)), octets(b""), words("loans"))),
        ("operation-in-a-trace-of-zeros", "Zeros are no id.", array(octets(bytes(16)), span, octets(b""), words("loans"))),
        ("operation-of-15-bytes", "A trace has 16 bytes.", array(octets(b"\x01" * 15), span, octets(b""), words("loans"))),
        ("operation-called-by-zeros", "Zeros are no id.", array(trace, span, octets(bytes(8)), words("loans"))),
        ("operation-as-text", "An operation is a list.", words("loans")),
    ]:
        refuse_event(name, why, encode(good + [(19, value)]))
    silent = [(key, words("") if key == 8 else value) for key, value in good]
    binding = octets(named("matter"))
    for name, why, value in [
        ("closed-of-31-bytes", "A commitment has 32 bytes.", array(octets(b"\x01" * 31), number(1))),
        ("closed-without-day", "A closed matter has its day.", array(binding)),
        ("closed-with-three-parts", "A closed matter has its day and nothing else.", array(binding, number(1), number(2))),
        ("closed-as-bytes", "A closed matter stands in a list with its day.", binding),
        ("closed-beyond-63-bits", "No such time exists.", array(binding, number(2**63))),
    ]:
        refuse_event(name, why, encode(silent + [(17, value)]))
    refuse_event("closed-and-told", "Whose matter is closed does not say it.", encode(good + [(17, array(binding, number(1)))]))
    refuse_event("actor-of-31-bytes", "A commitment has 32 bytes.", encode(good[:-1] + [(9, octets(b"\x01" * 31))] + good[-1:]))


if __name__ == "__main__":
    for folder in ["statements", "events", "delay"]:
        (HERE / folder).mkdir(exist_ok=True)
        for old in (HERE / folder).glob("*.json"):
            old.unlink()
    statements()
    events()
    delay()
