//! The end of a mandate under which few or many residents lend something.

use std::path::Path;

use usufruct_app::vault::{Key, KeyId, KeyTree};

use crate::{SystemRng, residents, seconds};

/// Grants are keys in the residents' keyrings, which nobody touches when the mandate ends: its own key goes, and with it one of
/// the two parents of every data key. So the residents have to be there, and the time must not depend on them.
pub fn print(dir: &Path) {
    println!("\n| grants under the mandate | sunset ms | against one grant |\n|---:|---:|---:|");
    let mut first = None;
    for grants in [1, 10_000, 1_000_000] {
        let folder = dir.join(format!("grants-{grants}"));
        let tree = residents::create(&folder);
        residents::fill(&tree, grants);
        let mandates: Vec<KeyId> = (0..101).map(KeyId::Mandate).collect();
        let keys: Vec<_> = mandates.iter().map(|id| (*id, Key::random(&SystemRng))).collect();
        tree.insert(&keys, &SystemRng).expect("the tree is whole");
        let mut times: Vec<f64> =
            mandates.iter().map(|id| seconds(|| drop(tree.erase(&[*id], &[], &SystemRng).expect("the tree is whole")))).collect();
        times.sort_by(f64::total_cmp);
        let time = times[50];
        println!("| {grants} | {:.2} | {:.2} |", time * 1e3, time / *first.get_or_insert(time));
        drop(tree);
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
