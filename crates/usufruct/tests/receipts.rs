//! Receipts and proofs as programs see them: kept, not yet, broken, and the complaint that anybody can check.

use std::fs;

use crate::common::{Folder, fails, ok, run};
use crate::insider::{Insider, noise, now};
use serde_json::{Value, json};
use usufruct_app::log::{self, Cosigner, Ed25519Cosigner, Note, Reader, ReceiptSigner, TlogProof, leaf_hash};
use usufruct_core::event::{self, Event, Kind};

fn city(folder: &Folder) -> Insider {
    let dir = folder.at("demo");
    ok(&["demo", "--residents", "0", "--data-dir", &dir, "--load-only"]);
    Insider::of(&dir)
}

fn exit(arguments: &[&str]) -> i32 {
    run(arguments).status.code().unwrap()
}

#[test]
fn a_promise_is_kept_or_not_yet_or_broken() {
    let folder = Folder::new("receipt");
    let city = city(&folder);
    let (log, complaint) = (folder.at("log"), folder.at("complaint.json"));
    let leaves = [city.leaves.as_slice(), &[city.terms(&city.leaves, json!({}))]].concat();
    city.publish(&log, &leaves, now());
    let size = leaves.len() as u64;
    let file = |index: u64, leaf: &[u8], at: u64| folder.write("receipt.txt", &city.receipt(index, leaf, at, 60));
    let check = |receipt: &str| exit(&["verify", "receipt", receipt, "--log", &log, "--complaint", &complaint]);

    assert_eq!(check(&file(7, &leaves[7], now() - 1_000)), 0);
    assert_eq!(check(&file(size, &noise(1), now())), 3, "not yet");
    assert!(!fs::exists(&complaint).unwrap());

    // The leaf is not there, and the log has signed since that it has no such leaf.
    assert_eq!(check(&file(size, &noise(1), now() - 100)), 1);
    let proven = ok(&["verify", "complaint", &complaint]);
    assert!(proven.contains("signed by the log itself") && proven.contains("declared by the log itself"), "{proven}");
    ok(&["verify", "complaint", &complaint, "--vkey", &city.vkeys()[0]]);
    let stranger = "stranger.example/log+2cbb5da4+AZoRQv4bl6PvZwPUl8Jf9lYQC1Ua8TqLI5K1fQFTxiqB";
    assert_ne!(exit(&["verify", "complaint", &complaint, "--vkey", stranger]), 0);

    // Another leaf is in its place.
    assert_eq!(check(&file(7, &noise(1), now() - 1_000)), 1);
    assert!(ok(&["verify", "complaint", &complaint]).contains("leaf 7 was promised as"));
    let text = fs::read_to_string(&complaint).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    for (pointer, change) in [
        ("/receipt", json!(city.receipt(7, &leaves[7], now(), 60))),
        ("/receipt", json!(city.receipt(8, &noise(1), now(), 60))),
        ("/wrong/displaced/leaf_hash", json!(leaf_hash(&noise(2)).to_string())),
        ("/wrong", json!("overdue")),
        ("/checkpoint", json!(text.replace("1", "2"))),
        ("/terms/leaf", json!("AQEx")),
        ("/receipt_vkey", json!(city.vkeys()[0])),
    ] {
        let honest = value.pointer(pointer).unwrap().clone();
        *value.pointer_mut(pointer).unwrap() = change;
        let changed = folder.write("changed.json", &value.to_string());
        fails(&["verify", "complaint", &changed], 1);
        *value.pointer_mut(pointer).unwrap() = honest;
    }

    // A promise by a key that the log never declared.
    let stranger = ReceiptSigner::from_seed(&city.origin, &[9; 32]).unwrap();
    let promise = stranger.sign(7, vec![leaf_hash(&noise(1))], (now() - 1_000) * 1_000_000, 60).unwrap();
    value["receipt"] = json!(promise.receipt(7).unwrap().to_string());
    value["receipt_vkey"] = json!(stranger.verifier_key().to_string());
    let framed = fails(&["verify", "complaint", &folder.write("framed.json", &value.to_string())], 1);
    assert!(framed.contains("another key of receipts"), "{framed}");

    // What the log never signed is no promise, and a log that is not there breaks none.
    let forged = city.receipt(7, &leaves[7], now(), 60).replace("\n60\n", "\n61\n");
    fails(&["verify", "receipt", &folder.write("forged.txt", &forged), "--log", &log], 2);
    fails(&["verify", "receipt", &folder.write("nothing.txt", "nothing"), "--log", &log], 2);
    fails(&["verify", "receipt", &file(7, &leaves[7], now()), "--log", &folder.at("nowhere")], 2);
}

#[test]
fn one_witness_alone_convicts_nobody() {
    let folder = Folder::new("one-witness");
    let city = city(&folder);
    let (log, complaint) = (folder.at("log"), folder.at("complaint.json"));
    let witness = |n: u8| Ed25519Cosigner::from_seed(&format!("witness-{n}.example"), &[n; 32]).unwrap();
    let policy = (1..=3).map(|n| format!("witness w{n} {}\n", witness(n).verifier_key())).collect::<String>()
        + "group two 2 w1 w2 w3\nquorum two";
    let leaves = [city.leaves.as_slice(), &[city.terms(&city.leaves, json!({ "policy": policy }))]].concat();
    // The log stands still since before the promise was over; only witnesses still sign.
    let note = city.publish(&log, &leaves, now() - 150);
    let receipt = folder.write("receipt.txt", &city.receipt(leaves.len() as u64, &noise(1), now() - 100, 60));
    let check = |witnesses: &[u8]| {
        let mut note: Note = note.clone();
        for n in witnesses {
            note.add(witness(*n).cosign(&note.text().parse().unwrap(), now()).unwrap()).unwrap();
        }
        fs::write(folder.at("log/checkpoint"), note.to_string()).unwrap();
        assert_eq!(exit(&["verify", "receipt", &receipt, "--log", &log, "--complaint", &complaint]), 1);
        exit(&["verify", "complaint", &complaint])
    };
    assert_eq!(check(&[]), 3, "by the word of who complains");
    assert_eq!(check(&[2]), 3);
    assert_eq!(check(&[2, 3]), 0);

    // A checkpoint without its witnesses keeps no promise, and proves nothing either.
    fs::write(folder.at("log/checkpoint"), note.to_string()).unwrap();
    let _ = fs::remove_file(&complaint);
    for (at, code) in [(now(), 3), (now() - 100, 1)] {
        let receipt = folder.write("covered.txt", &city.receipt(7, &leaves[7], at, 60));
        assert_eq!(exit(&["verify", "receipt", &receipt, "--log", &log, "--complaint", &complaint]), code);
        assert!(!fs::exists(&complaint).unwrap());
    }
}

#[test]
fn a_log_without_terms_is_believed_by_the_keys_that_are_given() {
    let folder = Folder::new("bare");
    let city = city(&folder);
    let (log, complaint) = (folder.at("log"), folder.at("complaint.json"));
    city.publish(&log, &city.leaves, now());
    let receipt = folder.write("receipt.txt", &city.receipt(city.leaves.len() as u64, &noise(1), now() - 100, 60));
    let key = fs::read_to_string(folder.at("log/receipt-vkey")).unwrap();
    let own = ["--vkey", &city.vkeys()[0], "--receipt-vkey", key.trim()];
    let check = [&["verify", "receipt", &receipt, "--log", &log, "--complaint", &complaint][..], &own].concat();
    fails(&check, 1);
    // Plain Ed25519 tells no time.
    fails(&[&["verify", "complaint", &complaint][..], &own].concat(), 3);
}

#[test]
fn a_proof_is_checked_without_the_log() {
    let folder = Folder::new("proof");
    let city = city(&folder);
    let log = folder.at("log");
    let event = Event {
        kind: Kind::Use,
        n: 0,
        prev: None,
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        anchor: None,
        mandate: None,
        service: Some("svc_library".parse().unwrap()),
        blocks: Vec::new(),
        reason: "lending".to_owned(),
        actor: None,
        batch: None,
        clause: None,
        detail: None,
        until: None,
        other: None,
        source: None,
        closed: None,
        foreign: None,
    };
    let (tag, opening, encoded) = ([5; 32], [6; 32], event.encode());
    let leaf = event::leaf(&event::commitment(&opening, &encoded), &tag).to_vec();
    let leaves = [city.leaves.as_slice(), std::slice::from_ref(&leaf)].concat();
    let note = city.publish(&log, &leaves, now());
    let objects = log::Folder::open(&log).unwrap();
    let index = leaves.len() as u64 - 1;
    let hashes = Reader::new(&objects, note.text().parse().unwrap()).inclusion(index, &leaf_hash(&leaf)).unwrap();
    let opened = [&tag[..], &opening, &encoded].concat();
    let proof = |extra| TlogProof { index, hashes: hashes.clone(), checkpoint: note.clone(), extra }.to_string();
    let (own, bare) =
        (folder.write("own.tlog-proof", &proof(Some(opened.clone()))), folder.write("bare.tlog-proof", &proof(None)));
    let policy = folder.write("policy", &format!("log {}\nquorum none\n", city.vkeys()[0]));
    let said = ok(&["verify", "proof", &own, "--policy", &policy]);
    assert!(said.contains("use; svc_library; reason: lending") && said.contains(&format!("leaf {index} of")), "{said}");
    fs::write(folder.at("leaf"), &leaf).unwrap();
    fs::write(folder.at("event"), &opened).unwrap();
    ok(&["verify", "proof", &bare, "--policy", &policy, "--leaf", &folder.at("leaf")]);
    ok(&["verify", "proof", &bare, "--policy", &policy, "--event", &folder.at("event")]);
    fails(&["verify", "proof", &bare, "--policy", &policy], 2);
    fs::write(folder.at("leaf"), noise(1)).unwrap();
    fails(&["verify", "proof", &bare, "--policy", &policy, "--leaf", &folder.at("leaf")], 1);
    let witness = Ed25519Cosigner::from_seed("witness.example", &[1; 32]).unwrap();
    let strict = format!("log {}\nwitness w {}\nquorum w\n", city.vkeys()[0], witness.verifier_key());
    fails(&["verify", "proof", &own, "--policy", &folder.write("strict", &strict)], 1);
}
