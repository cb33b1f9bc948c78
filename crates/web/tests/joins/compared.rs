//! The story is lived by two residents, on both databases. What two services were told of one of them is held against what they were told of the other.

use std::collections::BTreeSet;
use std::path::Path;

use crate::allowed::{Allowed, is_moment};
use crate::common;
use crate::search::{Pieces, pieces, pieces_of, shared};
use crate::service::{Channel, Ear, Heard};
use crate::story::{live, the_summer_ends};
use crate::town::Town;

common::on_both!(two_services_have_nothing_in_common_about_one_resident);

/// The names of the two residents, which each of them lends to both services as a value.
const LENT: [&str; 2] = ["Zenobia Quartermaine", "Theodora Whitlock"];

/// What each of two services was told of each of two residents.
pub struct Told {
    /// Of the first resident, at the first service and at the second.
    pub hers: [Vec<Heard>; 2],
    pub of_another: [Vec<Heard>; 2],
    /// Seconds of which both hear by design.
    pub moments: BTreeSet<i64>,
}

fn two_services_have_nothing_in_common_about_one_resident(dir: &Path, url: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let town = Town::open(dir, url).await;
        let allowed = Allowed::before_anybody_came(&town).await;
        let told = tell(&town).await;
        every_way_was_used(&told);
        let [hers, of_another] = [&told.hers, &told.of_another].map(|heard| heard.each_ref().map(|heard| pieces(heard)));
        // The leak: what two services share about her, and not about somebody else.
        let joined = joined(&hers, &of_another, &told);
        // And of what they share about anybody, everything has a reason.
        let crossed = [&hers[0], &of_another[1]];
        let strange = [
            strange(&hers.each_ref(), &allowed, &told),
            strange(&of_another.each_ref(), &allowed, &told),
            strange(&crossed, &allowed, &told),
        ];
        let all: BTreeSet<String> =
            [&hers, &of_another].into_iter().flat_map(|[one, other]| shared(one, other).into_keys()).collect();
        let idle = allowed.idle(&all);
        let wrong = [
            ("both were told of her alone", joined),
            ("both were told, and nothing allows it", strange.concat()),
            ("allowed, and heard by nobody", idle.into_iter().map(str::to_owned).collect()),
        ];
        let wrong: Vec<String> = wrong
            .into_iter()
            .filter(|(_, all)| !all.is_empty())
            .map(|(what, all)| format!("{what}:\n{}", all.join("\n")))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Both residents live the story, one after the other, while both services listen.
pub async fn tell(town: &Town) -> Told {
    let [mut hers, mut of_another] = [0, 1].map(|_| [Ear::of(&town.services[0]), Ear::of(&town.services[1])]);
    let mut moments = live(town, town.resident(LENT[0]), &mut hers).await;
    moments.extend(live(town, town.resident(LENT[1]), &mut of_another).await);
    // What happens to everybody is heard by one pair of ears, and counts for both residents.
    let mut of_all = [Ear::of(&town.services[0]), Ear::of(&town.services[1])];
    the_summer_ends(town, &mut of_all).await;
    let [hers, of_another] = [hers, of_another].map(|ears| {
        let [one, other] = ears;
        let with = |ear: Ear<'_>, of_all: &Ear<'_>| [ear.heard, of_all.heard.clone()].concat();
        [with(one, &of_all[0]), with(other, &of_all[1])]
    });
    Told { hers, of_another, moments }
}

/// Each way brought something to the services; both push and poll did.
fn every_way_was_used(told: &Told) {
    for heard in [&told.hers, &told.of_another] {
        let used: BTreeSet<Channel> = heard.iter().flatten().map(|heard| heard.channel).collect();
        let missing: Vec<&Channel> = Channel::ALL.iter().filter(|channel| !used.contains(channel)).collect();
        assert!(missing.is_empty(), "nothing came by {missing:?}");
    }
}

/// What two services have in common about her and not about somebody else as well. Left out are the moments of which both hear by design, and the
/// values that she lent to both as they are.
pub fn joined(hers: &[Pieces; 2], of_another: &[Pieces; 2], told: &Told) -> Vec<String> {
    let mut found = shared(&hers[0], &hers[1]);
    let lent: BTreeSet<String> = LENT.iter().flat_map(|value| pieces_of(value)).collect();
    found.retain(|piece, _| of_another.iter().any(|of_another| !of_another.contains_key(piece)));
    found.retain(|piece, _| !lent.contains(piece) && !is_moment(piece, &told.moments));
    found.iter().map(|(piece, [one, other])| format!("{piece} by {one:?} and {other:?}")).collect()
}

/// What two services have in common for no reason.
pub fn strange(both: &[&Pieces; 2], allowed: &Allowed, told: &Told) -> Vec<String> {
    let found = shared(both[0], both[1]);
    let lent: BTreeSet<String> = LENT.iter().flat_map(|value| pieces_of(value)).collect();
    let strange = allowed.strange(found.keys().filter(|piece| !lent.contains(*piece)), &told.moments);
    strange.into_iter().map(|piece| format!("{piece} by {:?} and {:?}", found[piece][0], found[piece][1])).collect()
}
