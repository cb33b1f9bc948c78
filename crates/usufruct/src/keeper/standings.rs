//! What the keepers' answers say together about the root. One of them may lie.

use usufruct_app::vault::Epoch;
use usufruct_app::vault::keeper::Standing;
use usufruct_core::Digest;

/// Which of the keepers have their share of the root that most of them have, and would give it out. Of two roots that as many
/// have it is the newer one.
pub fn holders(standings: &[Option<Standing>]) -> Vec<bool> {
    let held = standings.iter().flatten().flat_map(|standing| &standing.held);
    let newest_of_most = held.max_by_key(|root| (standings.iter().filter(|standing| gives(standing, root)).count(), root.0));
    standings.iter().map(|standing| newest_of_most.is_some_and(|root| gives(standing, root))).collect()
}

fn gives(standing: &Option<Standing>, (epoch, check): &(Epoch, Digest)) -> bool {
    standing.as_ref().is_some_and(|standing| standing.gives(*epoch, check))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(counter: u64, told: u64, held: &[u64]) -> Option<Standing> {
        let held = held.iter().map(|epoch| (Epoch(*epoch), Digest([*epoch as u8; 32]))).collect();
        Some(Standing { counter: Epoch(counter), held, is_fresh: true, told: Epoch(told) })
    }

    #[test]
    fn who_answers_does_not_hold_for_that() {
        assert_eq!(holders(&[at(5, 5, &[5]), at(5, 5, &[]), None]), [true, false, false]);
        assert_eq!(holders(&[at(5, 5, &[4, 5]), at(5, 5, &[5]), at(4, 5, &[4])]), [true, true, false]);
        assert_eq!(holders(&[at(4, 4, &[4, 5]), at(4, 4, &[4, 5]), at(4, 4, &[4])]), [true, true, true]);
        assert_eq!(holders(&[None, None]), [false, false]);
    }

    #[test]
    fn a_liar_changes_nothing_about_the_others() {
        assert_eq!(holders(&[at(5, 5, &[5]), at(5, 5, &[5]), at(1 << 60, 0, &[1 << 60])]), [true, true, false]);
        // Those that hear it withhold their shares, and say so.
        assert_eq!(holders(&[at(5, 1 << 60, &[5]), at(5, 5, &[5]), at(1 << 60, 0, &[])]), [false, true, false]);
    }
}
