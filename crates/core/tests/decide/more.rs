//! The second half of the suite.

use usufruct_core::mandate::Basis;
use usufruct_core::means::{Means, SignIn};
use usufruct_core::time::MINUTE;

use super::*;

#[test]
fn the_base_case_is_permitted() {
    permits(&base(), |_, _, _| {});
    permits(&base(), |request, _, _| request.service = "svc_cloud".parse().unwrap());
}

#[test]
fn not_before_the_start_and_not_past_the_sunset() {
    refuses(&base(), Clause::Start, |_, _, now| *now = day(40).plus(-1));
    permits(&base(), |_, _, now| *now = day(40));
    permits(&base(), |_, _, now| *now = day(100).plus(-1));
    refuses(&base(), Clause::Sunset, |_, grant, now| {
        g(grant).valid_until = day(999);
        *now = day(100);
    });
}

#[test]
fn only_the_blocks_of_the_mandate_that_she_chose() {
    refuses(&base(), Clause::BlocksInMandate, |request, _, _| request.blocks.clear());
    refuses(&base(), Clause::BlocksInMandate, |request, grant, _| {
        request.blocks.push(("blk_illness".parse().unwrap(), Form::Token));
        g(grant).blocks.push("blk_illness".parse().unwrap());
    });
    refuses(&base(), Clause::BlocksChosen, |_, grant, _| {
        g(grant).blocks.remove(0);
    });
}

#[test]
fn no_richer_form_than_allowed() {
    permits(&base(), |request, _, _| request.blocks = vec![("blk_age".parse().unwrap(), Form::Token)]);
    let mut model = base();
    refuses(&model, Clause::Form, |request, _, _| request.blocks = vec![("blk_age".parse().unwrap(), Form::Predicate)]);
    model.asked[0] = Some(Form::Predicate);
    refuses(&model, Clause::Form, |_, _, _| {});
    // A block leaves only in the forms that it has: an address has no predicate, poor as that would be.
    model.asked[2] = Some(Form::Value);
    let address = |request: &mut Request, grant: &mut Option<Grant>, form| {
        request.blocks = vec![("blk_address".parse().unwrap(), form)];
        g(grant).blocks.push("blk_address".parse().unwrap());
    };
    let (city, _) = model.city();
    for (form, expected) in [(Form::Token, Outcome::Permit), (Form::Predicate, Outcome::Refuse), (Form::Value, Outcome::Permit)] {
        let (mut request, mut grant, now) = lawful(&model, &city);
        address(&mut request, &mut grant, form);
        assert_eq!(decide(&city.register, &request, grant.as_ref(), now).outcome, expected, "{form:?}");
    }
    let request = Request {
        service: "svc_library".parse().unwrap(),
        mandate: MANDATE.parse().unwrap(),
        blocks: vec![("blk_age".parse().unwrap(), Form::Value)],
        reason: "reminder".into(),
        subjects: 1,
        sign_in: None,
        third_party: false,
        since: None,
        written_reason: false,
    };
    let decision = decide_without_resident(&base().city().0.register, &request, day(50));
    assert_eq!(decision.because, [Clause::Form]);
}

#[test]
fn no_use_without_a_grant_or_another_basis() {
    refuses(&base(), Clause::Grant, |_, grant, _| *grant = None);
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).kind = GrantKind::Notified);
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).valid_until = day(50));
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).given_at = day(50).plus(1));
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).state = GrantState::Withdrawn);
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).state = GrantState::Invalidated);
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).state = GrantState::Sunset);
    let duty = Model { basis: 1, ..base() };
    permits(&duty, |_, grant, _| *grant = None);
    permits(&duty, |_, grant, _| g(grant).kind = GrantKind::Notified);
    refuses(&duty, Clause::Grant, |_, grant, _| g(grant).state = GrantState::Invalidated);
}

#[test]
fn a_grant_is_for_one_revision_and_younger_than_its_notice() {
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).mandate_hash = usufruct_core::hash::sha256(b""));
    permits(&Model { path: Path::RevisedActive, ..base() }, |_, _, _| {});
    refuses(&base(), Clause::Notice, |_, grant, _| g(grant).given_at = day(30).plus(-1));
    permits(&base(), |_, grant, _| g(grant).given_at = day(30));
}

#[test]
fn within_the_rate_cap() {
    refuses(&base(), Clause::RateCap, |_, grant, _| g(grant).window_uses = 2);
    refuses(&base(), Clause::RateCap, |_, grant, _| g(grant).window_uses = i64::MAX);
    refuses(&base(), Clause::RateCap, |_, grant, _| {
        g(grant).window_uses = 2;
        g(grant).window_start = day(20).plus(1);
    });
    permits(&base(), |_, grant, _| {
        g(grant).window_uses = 2;
        g(grant).window_start = day(20);
    });
    // A window that begins in the future is no way out.
    refuses(&base(), Clause::RateCap, |_, grant, _| {
        g(grant).window_uses = 2;
        g(grant).window_start = day(60);
    });
}

#[test]
fn once_and_once_after_a_date() {
    let once = Model { when: When::Once, ..base() };
    permits(&once, |_, _, _| {});
    refuses(&once, Clause::Fetch, |_, grant, _| g(grant).uses = 1);
    let after = Model { when: When::OnceAfter(50), ..base() };
    permits(&after, |_, _, _| {});
    refuses(&after, Clause::Fetch, |_, _, now| *now = day(50).plus(-1));
    refuses(&after, Clause::Fetch, |_, grant, _| g(grant).uses = 1);
    for when in [When::Once, When::OnceAfter(50)] {
        refuses(&Model { when, basis: 1, ..base() }, Clause::Fetch, |_, grant, _| *grant = None);
    }
}

#[test]
fn nothing_while_suspended() {
    refuses(&Model { path: Path::Suspended, ..base() }, Clause::Suspension, |_, _, _| {});
    refuses(&Model { services: [(2, true); 3], ..base() }, Clause::Suspension, |_, _, _| {});
    refuses(&base(), Clause::Suspension, |_, grant, _| g(grant).state = GrantState::Paused);
    permits(&Model { path: Path::Reactivated, services: [(3, true); 3], ..base() }, |_, _, _| {});
}

#[test]
fn only_to_recipients_and_through_services_that_are_named() {
    refuses(&base(), Clause::Recipient, |request, _, _| request.service = "svc_parks".parse().unwrap());
    refuses(&base(), Clause::Service, |request, _, _| request.service = "svc_nowhere".parse().unwrap());
    refuses(&base(), Clause::Mandate, |request, _, _| request.mandate = "mdt_nowhere".parse().unwrap());
    refuses(&Model { services: [(1, false); 3], ..base() }, Clause::Service, |_, _, _| {});
    refuses(&Model { services: [(0, true); 3], ..base() }, Clause::Service, |_, _, _| {});
    refuses(&Model { services: [(4, true); 3], ..base() }, Clause::Service, |_, _, _| {});
}

#[test]
fn to_a_vendor_only_under_an_active_contract() {
    let cloud: Change = |request, _, _| request.service = "svc_cloud".parse().unwrap();
    let with = |change: fn(&mut ContractModel)| {
        let mut model = base();
        change(model.contract.as_mut().unwrap());
        model
    };
    refuses(&Model { contract: None, ..base() }, Clause::Contract, cloud);
    for path in [0, 1, 3, 4] {
        let mut model = base();
        model.contract.as_mut().unwrap().path = path;
        refuses(&model, Clause::Contract, cloud);
    }
    refuses(&with(|contract| contract.own_controller = false), Clause::Contract, cloud);
    refuses(&with(|contract| contract.covers = false), Clause::Contract, cloud);
    refuses(&with(|contract| contract.from = 51), Clause::Contract, cloud);
    refuses(&with(|contract| contract.until = 50), Clause::Contract, cloud);
    refuses(&with(|contract| contract.values[0] = false), Clause::Form, cloud);
    permits(&with(|contract| contract.values[0] = false), |request, _, _| {
        request.service = "svc_cloud".parse().unwrap();
        request.blocks[0].1 = Form::Predicate;
    });
}

#[test]
fn with_a_known_reason_for_so_many_and_an_active_pass() {
    refuses(&base(), Clause::Reason, |request, _, _| request.reason = "curiosity".into());
    refuses(&base(), Clause::Reason, |request, _, _| request.reason.clear());
    refuses(&base(), Clause::BulkLimit, |request, _, _| request.subjects = 4);
    refuses(&base(), Clause::BulkLimit, |request, _, _| request.subjects = 0);
    refuses(&base(), Clause::BulkLimit, |request, _, _| request.subjects = -1);
    refuses(&base(), Clause::ThirdParty, |request, _, _| request.third_party = true);
    permits(&Model { closes: true, ..base() }, |request, _, _| request.third_party = true);
    refuses(&base(), Clause::Resident, |_, grant, _| g(grant).resident_active = false);
    refuses(&base(), Clause::Authorization, |_, grant, _| g(grant).authorized = false);
    refuses(&base(), Clause::Suspension, |_, grant, _| g(grant).rests = true);
    refuses(&base(), Clause::Grant, |_, grant, _| g(grant).declined = true);
}

#[test]
fn only_an_active_mandate() {
    for path in [Path::Consulted, Path::Draft, Path::Approved, Path::Published, Path::Revoked, Path::RevisedDraft] {
        let decision = decided(&Model { path, ..base() }, |_, _, _| {});
        assert_eq!(decision.outcome, Outcome::Refuse, "{path:?}");
        assert!(decision.because.contains(&Clause::Mandate), "{path:?}: {decision:?}");
    }
}

#[test]
fn only_a_mandate_that_says_so_takes_deposits_and_all_else_holds_as_for_a_use() {
    let (mut city, _) = base().city();
    let (request, grant, now) = lawful(&base(), &city);
    let decided = |city: &City, request: &Request| decide_deposit(&city.register, request, grant.as_ref(), now);
    let refusal = |clauses: &[Clause]| Decision { outcome: Outcome::Refuse, because: clauses.to_vec() };
    let operations = |city: &mut City, operations: &[Operation]| {
        city.register.mandates.get_mut(&MANDATE.parse().unwrap()).unwrap().body.operations = operations.to_vec();
    };
    operations(&mut city, &[Operation::Collect, Operation::Disclose, Operation::Store]);
    assert_eq!(decided(&city, &request), refusal(&[Clause::Operation]));
    assert_eq!(decide_deposit_without_resident(&city.register, &request, now), refusal(&[Clause::Operation]));
    assert_eq!(decide(&city.register, &request, grant.as_ref(), now).outcome, Outcome::Permit);
    operations(&mut city, &[Operation::Disclose, Operation::Deposit]);
    assert_eq!(decided(&city, &request).outcome, Outcome::Permit);
    assert!(decided(&city, &request).because.contains(&Clause::Operation));
    assert_eq!(decide_deposit_without_resident(&city.register, &request, now).outcome, Outcome::Permit);
    assert_eq!(decided(&city, &Request { reason: "gossip".into(), ..request.clone() }), refusal(&[Clause::Reason]));
    assert_eq!(decided(&city, &Request { blocks: Vec::new(), ..request.clone() }), refusal(&[Clause::BlocksInMandate]));
    assert_eq!(decided(&city, &Request { mandate: "mdt_nowhere".parse().unwrap(), ..request }), refusal(&[Clause::Mandate]));
}

#[test]
fn the_sign_in_is_as_sure_and_as_late_as_is_asked() {
    let model = base();
    let (mut city, _) = model.city();
    let (mut request, grant, now) = lawful(&model, &city);
    let outcome = |city: &City, request: &Request, grant: &Option<Grant>| {
        let decision = decide(&city.register, request, grant.as_ref(), now);
        assert!(decision.outcome == Outcome::Permit || decision.because == [Clause::SignIn], "{decision:?}");
        decision.outcome == Outcome::Permit
    };
    let agreed_by = |means| Some(Grant { means, ..grant.clone().unwrap() });
    let by = |means, minutes: i64| Some(SignIn { means, at: now.plus(-minutes * MINUTE) });
    let mandate = MANDATE.parse().unwrap();
    let entry = city.register.mandates.get_mut(&mandate).unwrap();
    entry.body.means = Means::Certificate;
    // The token of the service's own stands on the sign-in in which she agreed.
    for (means, is_enough) in [
        (Some(Means::Delegate), false),
        (Some(Means::Card), false),
        (Some(Means::Certificate), true),
        (Some(Means::Passkey), true),
        (None, true),
    ] {
        assert_eq!(outcome(&city, &request, &agreed_by(means)), is_enough, "{means:?}");
    }
    // A token that she gave stands on its own sign-in, whatever she agreed by.
    request.sign_in = by(Means::Card, 0);
    assert!(!outcome(&city, &request, &agreed_by(Some(Means::Passkey))));
    request.sign_in = by(Means::Passkey, 0);
    assert!(outcome(&city, &request, &agreed_by(Some(Means::Card))));
    // A block asks for itself, and the service for whatever it does.
    let entry = city.register.mandates.get_mut(&mandate).unwrap();
    entry.body.means = Means::Delegate;
    entry.body.blocks.iter_mut().find(|asked| asked.block.as_str() == "blk_age").unwrap().means = Means::Passkey;
    request.sign_in = by(Means::Card, 0);
    assert!(outcome(&city, &request, &grant), "the name asks for nothing");
    request.blocks = vec![("blk_age".parse().unwrap(), Form::Token)];
    assert!(!outcome(&city, &request, &grant));
    request.sign_in = by(Means::Passkey, 6);
    assert!(outcome(&city, &request, &grant));
    city.register.services.get_mut(&request.service).unwrap().body.sign_in_within = Some("PT5M".into());
    assert!(!outcome(&city, &request, &grant));
    request.sign_in = by(Means::Passkey, 5);
    assert!(outcome(&city, &request, &grant));
    // Before anybody is known nothing can be said of it.
    request.sign_in = by(Means::Card, 60);
    assert_eq!(decide_without_resident(&city.register, &request, now).outcome, Outcome::Permit);
    // Where a law asks for the use nobody has to sign in; who did is held to it all the same.
    let notified = Some(Grant { kind: GrantKind::Notified, means: None, ..grant.clone().unwrap() });
    city.register.mandates.get_mut(&mandate).unwrap().body.legal_basis.code = Basis::PublicTask;
    assert!(!outcome(&city, &request, &notified));
    request.sign_in = None;
    assert!(outcome(&city, &request, &notified));
}
