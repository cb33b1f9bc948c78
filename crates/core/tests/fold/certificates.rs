//! The epochs of certificates: what a key tree can come to is accepted in whatever order erasures are finished, and what none can is refused.

use std::collections::BTreeSet;

use super::*;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usufruct_core::keeper::Destroyed;
use usufruct_core::time::DAY;
use usufruct_core::vault_terms::Silence;
use usufruct_core::{Digest, Time, handles};

const HEAD: [(&str, &str); 1] = [("agc_operator", "head")];
const BOTH: [(&str, &str); 2] = [("agc_operator", "head"), ("agc_operator", "privacy")];

/// What one state of a key tree shows about a commitment.
#[derive(Clone)]
pub(super) struct Seen {
    epoch: i64,
    root: Digest,
    proof: Value,
}

pub(super) fn look(epoch: i64, live: &BTreeSet<Digest>) -> Seen {
    let bucket: Vec<Digest> = live.iter().copied().collect();
    let root = handles::set_root(0, bucket.len() as u64, &handles::leaf(&bucket));
    Seen { epoch, root, proof: json!({"count": bucket.len(), "bucket": bucket, "path": []}) }
}

/// A withdrawal: of one resident's data neither mandate nor blocks are named.
pub(super) fn certificate(city: &City, id: &str, key: Digest, before: &Seen, after: &Seen) -> Statement {
    let mut body = certificate_body(CARD, city.now);
    let fields = [
        ("cause", json!("withdrawal")),
        ("mandate", Value::Null),
        ("key_commitments", json!([key])),
        ("epoch_before", json!(before.epoch)),
        ("epoch_after", json!(after.epoch)),
        ("tree_root_before", json!(before.root)),
        ("tree_root_after", json!(after.root)),
        ("inclusion", json!([before.proof])),
        ("absence", json!([after.proof])),
    ];
    fields.into_iter().for_each(|(field, value)| body[field] = value);
    city.draft(StatementKind::Certificate, id, "agc_operator", body, &HEAD)
}

fn terms(city: &City, lost_before: i64) -> Statement {
    let body =
        json!({"vault": "city.example/log", "slot_class": "E0", "threshold": 0, "backup_days": 30, "lost_before": lost_before});
    city.draft(StatementKind::Vault, "vlt_city", "agc_operator", body, &BOTH)
}

pub(super) fn key(number: u64) -> Digest {
    sha256(&number.to_be_bytes())
}

#[test]
fn the_key_tree_does_not_go_back() {
    let mut city = founded();
    let (old, new) = (BTreeSet::from([key(1), key(2), key(3)]), BTreeSet::from([key(3)]));
    let made = |city: &City, number: u64, from: i64, to: i64| {
        certificate(city, &format!("crt_{number}{from}"), key(number), &look(from, &old), &look(to, &new))
    };
    city.apply(made(&city, 1, 7, 9)).unwrap();
    assert!(names(&refused(&city, made(&city, 2, 1, 2)), "epoch_after", "goes-back"), "it goes back");
    assert!(names(&refused(&city, made(&city, 2, 7, 8)), "epoch_after", "goes-back"), "it goes back by one");
    assert!(names(&refused(&city, made(&city, 1, 9, 10)), "epoch_before", "gone"), "the key comes back");
    assert!(city.clone().apply(made(&city, 2, 7, 9)).is_ok(), "in the same epoch");
    assert!(city.clone().apply(made(&city, 1, 8, 9)).is_ok(), "two that were asked for while the key lived");
    city.apply(made(&city, 2, 3, 9)).unwrap();
    // The root is lost.
    city.apply(terms(&city, 10)).unwrap();
    let again = BTreeSet::from([key(4), key(3)]);
    let made = |city: &City, from: i64| certificate(city, "crt_4", key(4), &look(from, &again), &look(12, &new));
    assert!(names(&refused(&city, made(&city, 9)), "epoch_before", "lost"), "of the lost root");
    city.apply(made(&city, 10)).unwrap();
}

/// The same certificate with another date, approved anew.
fn dated(city: &City, statement: &Statement, field: &str, at: Time) -> Statement {
    let mut body = statement.body.clone();
    body[field] = json!(at.to_string());
    city.draft(StatementKind::Certificate, &statement.id, "agc_operator", body, &HEAD)
}

#[test]
fn the_dates_of_a_residents_certificate_lie_between_the_first_statement_and_its_own() {
    let mut city = founded();
    let (began, now) = (city.statements[0].at, city.now.plus(30 * DAY));
    city.now = now;
    let (old, new) = (BTreeSet::from([key(1), key(3)]), BTreeSet::from([key(3)]));
    let honest = certificate(&city, "crt_1", key(1), &look(7, &old), &look(9, &new));
    assert!(city.clone().apply(honest.clone()).is_ok());
    let first = dated(&city, &honest, "erased_live_at", began);
    assert!(city.clone().apply(first).is_ok(), "it may have waited for a keeper since then");
    let before = dated(&city, &honest, "erased_live_at", began.plus(-1));
    assert!(names(&refused(&city, before), "erased_live_at", "too-early"));
    let ahead = dated(&city, &honest, "erased_root_at", now.plus(1));
    assert!(names(&refused(&city, ahead), "erased_root_at", "ahead"));
    let purged = |at: Time| dated(&city, &honest, "ciphertext_purged_at", at);
    assert!(names(&refused(&city, purged(now.plus(1))), "ciphertext_purged_at", "not-then"));
    assert!(names(&refused(&city, purged(now.plus(-1))), "ciphertext_purged_at", "not-then"), "before the keys");
    // Also when the purge is added later.
    city.apply(honest.clone()).unwrap();
    city.now = now.plus(DAY);
    let later = |at: Time| dated(&city, &honest, "ciphertext_purged_at", at);
    assert!(names(&refused(&city, later(city.now.plus(1))), "ciphertext_purged_at", "not-then"));
    assert!(names(&refused(&city, later(now.plus(-1))), "ciphertext_purged_at", "not-then"));
    assert!(city.clone().apply(later(city.now)).is_ok());
}

#[test]
fn a_key_is_not_gone_before_it_was_published_nor_before_its_mandate_ended() {
    let mut city = lawful();
    let began = city.now;
    let published = began.plus(DAY);
    city.now = published;
    // A second key, as one of a month is, is published later than the first.
    let late = commitment_of("late");
    city.say_key(CARD, late);
    city.now = began.plus(2 * DAY);
    let both = BTreeSet::from([commitment_of(CARD), late]);
    let of_keys = |city: &City, cause: &str, keys: &[Digest], live_at: Time| {
        let (before, after) = (look(3, &both), look(4, &both.iter().filter(|key| !keys.contains(key)).copied().collect()));
        let mut body = certificate(city, "crt_card", keys[0], &before, &after).body;
        let proofs = |proof: &Value| json!(vec![proof.clone(); keys.len()]);
        let fields = [
            ("cause", json!(cause)),
            ("mandate", json!(CARD)),
            ("key_commitments", json!(keys)),
            ("inclusion", proofs(&before.proof)),
            ("absence", proofs(&after.proof)),
            ("erased_live_at", json!(live_at.to_string())),
        ];
        fields.into_iter().for_each(|(field, value)| body[field] = value);
        city.draft(StatementKind::Certificate, "crt_card", "agc_operator", body, &HEAD)
    };
    let rotation = |live_at| of_keys(&city, "rotation", &[late], live_at);
    assert!(names(&refused(&city, rotation(published.plus(-1))), "erased_live_at", "too-early"), "nobody knew it yet");
    assert!(city.clone().apply(rotation(published)).is_ok());
    city.steps(CARD, &[State::Revoked]);
    let ended = city.now;
    city.now = began.plus(3 * DAY);
    city.steps(CARD, &[State::Erasing]);
    let keys: Vec<Digest> = both.iter().copied().collect();
    let revocation = |live_at| of_keys(&city, "revocation", &keys, live_at);
    assert!(names(&refused(&city, revocation(ended.plus(-1))), "erased_live_at", "too-early"), "it was in force");
    assert!(city.clone().apply(revocation(ended)).is_ok());
}

/// What can happen to a key tree and to those who want keys gone.
#[derive(Clone, Copy, Debug)]
enum Act {
    Make,
    /// Somebody asks for the end of a key: what shows that it lives is written down.
    Ask(Index),
    /// The keys of some that were asked for go, in one epoch.
    Destroy(Index, usize),
    /// Certificates follow in any order, as after a crash.
    Certify(Index),
    Rotate,
    /// The root is lost, and the tree begins anew.
    Lose,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Make),
        4 => any::<Index>().prop_map(Act::Ask),
        3 => (any::<Index>(), 1_usize..4).prop_map(|(at, count)| Act::Destroy(at, count)),
        4 => any::<Index>().prop_map(Act::Certify),
        1 => Just(Act::Rotate),
        1 => Just(Act::Lose),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(common::cases(96))]

    #[test]
    fn whatever_a_key_tree_comes_to_is_accepted(acts in acts()) {
        let mut city = founded();
        let (mut epoch, mut next, mut live) = (0_i64, 3_u64, BTreeSet::from([key(0), key(1), key(2)]));
        let mut asked: Vec<(Digest, Seen)> = Vec::new();
        let mut destroyed: Vec<(Digest, Seen)> = Vec::new();
        let mut certified: Vec<Statement> = Vec::new();
        for act in acts {
            match act {
                Act::Make => {
                    live.insert(key(next));
                    next += 1;
                }
                Act::Ask(at) if !live.is_empty() => {
                    let commitment = *live.iter().nth(at.index(live.len())).unwrap();
                    asked.push((commitment, look(epoch, &live)));
                }
                Act::Destroy(at, count) if !asked.is_empty() => {
                    let start = at.index(asked.len());
                    let end = (start + count).min(asked.len());
                    live.retain(|commitment| !asked[start..end].iter().any(|(gone, _)| gone == commitment));
                    epoch += 1;
                    destroyed.extend(asked.drain(start..end));
                }
                Act::Certify(at) if !destroyed.is_empty() => {
                    let (commitment, before) = destroyed.swap_remove(at.index(destroyed.len()));
                    let id = format!("crt_{}", certified.len());
                    let statement = certificate(&city, &id, commitment, &before, &look(epoch, &live));
                    prop_assert!(city.apply(statement.clone()).is_ok(), "{:?}", city.clone().apply(statement));
                    certified.push(statement);
                }
                Act::Rotate => epoch += 1,
                Act::Lose => {
                    epoch = city.register.certified_epoch().max(city.register.vault.as_ref().and_then(|vault| vault.body.lost_before).unwrap_or(0)) + 1;
                    (live, asked, destroyed) = (BTreeSet::from([key(next), key(next + 1)]), Vec::new(), Vec::new());
                    next += 2;
                    let statement = terms(&city, epoch);
                    prop_assert!(city.apply(statement.clone()).is_ok(), "{:?}", city.clone().apply(statement));
                }
                _ => (),
            }
        }
    }
}

// Keepers

const VAULT: &str = "city.example/log";

fn pair(keeper: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&sha256(keeper.as_bytes()).0).unwrap()
}

fn destroyed(keeper: &str, epoch: u64) -> Value {
    // Who takes another's place has a key of its own under the name that is before the sign.
    let name = keeper.split('+').next().unwrap();
    json!(Destroyed::sign(VAULT, name, epoch, 1_790_000_000, &pair(keeper)))
}

/// The terms with these keepers, of whom two bring the root back.
fn kept_by(city: &City, keepers: &[&str], backup_days: i64) -> Statement {
    let entry = |keeper: &&str| {
        let public = URL_SAFE_NO_PAD.encode(pair(keeper).public_key().as_ref());
        json!({"name": keeper.split('+').next(), "institution": text("An institution"), "public": public})
    };
    let keepers: Vec<Value> = keepers.iter().map(entry).collect();
    let body = json!({"vault": VAULT, "slot_class": "E3", "threshold": 2, "keepers": keepers, "backup_days": backup_days});
    city.draft(StatementKind::Vault, "vlt_city", "agc_operator", body, &BOTH)
}

#[test]
fn a_certificate_gains_what_keepers_of_its_time_sign_later_and_nothing_else() {
    let mut city = founded();
    city.apply(kept_by(&city, &["office", "court", "archive"], 30)).unwrap();
    let (old, new) = (BTreeSet::from([key(1), key(3)]), BTreeSet::from([key(3)]));
    let mut first = certificate(&city, "crt_1", key(1), &look(4, &old), &look(5, &new)).body;
    first["slot_class"] = json!("E3");
    first["keepers"] = json!([destroyed("office", 5), destroyed("archive", 5)]);
    let say = |city: &City, body: &Value| city.draft(StatementKind::Certificate, "crt_1", "agc_operator", body.clone(), &HEAD);
    let with = |signed: &[Value]| {
        let mut body = first.clone();
        body["keepers"].as_array_mut().unwrap().extend_from_slice(signed);
        body
    };
    city.apply(say(&city, &first)).unwrap();
    let silence = |city: &City| {
        let entry = &city.register.certificates[&"crt_1".parse().unwrap()];
        let (_, terms) = city.register.vault_terms_at(entry.number).unwrap();
        terms.silence(entry.body.epoch_after, &entry.body.keepers)
    };
    assert_eq!(silence(&city), Some(Silence { signed: 2, all: 3, liars: 1 }));

    let not_signed = |body: &Value, what: &str| {
        assert!(names(&refused(&city, say(&city, body)), "keepers", "not-signed"), "{what}");
    };
    not_signed(&with(&[destroyed("court", 4)]), "about an earlier epoch");
    not_signed(&with(&[destroyed("office", 5)]), "by one who had signed");
    not_signed(&with(&[destroyed("court", 5), destroyed("court", 6)]), "twice by one");
    not_signed(&with(&[destroyed("stranger", 5)]), "by a stranger");
    not_signed(&with(&[destroyed("court+2", 5)]), "under its name, by another key");
    let mut other = destroyed("court", 5);
    other["vault"] = json!("other.example/log");
    not_signed(&with(&[other]), "about another tree");
    let final_ = |body: &Value, what: &str| assert!(names(&refused(&city, say(&city, body)), "rev", "final"), "{what}");
    let mut changed = with(&[destroyed("court", 5)]);
    changed["keepers"].as_array_mut().unwrap().remove(0);
    final_(&changed, "one is taken away");
    changed["keepers"] = json!([destroyed("archive", 5), destroyed("office", 5), destroyed("court", 5)]);
    final_(&changed, "they change places");
    changed["keepers"] = json!([destroyed("office", 6), destroyed("archive", 5), destroyed("court", 5)]);
    final_(&changed, "one is changed");
    let mut reworded = with(&[destroyed("court", 5)]);
    reworded["limits"] = text("None.");
    final_(&reworded, "the limits change with it");

    // Other days of backups change nothing about who keeps the root, and another keeper knows nothing about this one.
    city.apply(kept_by(&city, &["office", "court", "archive"], 40)).unwrap();
    city.apply(kept_by(&city, &["office", "court+2", "archive"], 40)).unwrap();
    assert!(names(&refused(&city, say(&city, &with(&[destroyed("court+2", 7)]))), "keepers", "not-signed"));
    // What is signed about a later epoch holds for all before it.
    city.apply(say(&city, &with(&[destroyed("court", 7)]))).unwrap();
    assert_eq!(silence(&city), None);
    assert!(names(&refused(&city, say(&city, &first)), "rev", "final"), "it is not taken back");
    let again = Register::replay((0..).zip(&city.statements)).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), city.json());
}

#[test]
fn without_keepers_a_certificate_gains_no_signatures() {
    let mut city = founded();
    let (old, new) = (BTreeSet::from([key(1), key(3)]), BTreeSet::from([key(3)]));
    let first = certificate(&city, "crt_1", key(1), &look(4, &old), &look(5, &new));
    city.apply(first.clone()).unwrap();
    let mut body = first.body;
    body["keepers"] = json!([destroyed("office", 5)]);
    let later = city.draft(StatementKind::Certificate, "crt_1", "agc_operator", body, &HEAD);
    assert!(names(&refused(&city, later), "keepers", "not-signed"));
}
