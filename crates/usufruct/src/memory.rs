//! Keys are in memory while a server runs. They must not reach a disk from there: not by a core dump, and not by swap.

use std::fs;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use serde::{Deserialize, Serialize};

/// What could be done for the memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// No core dump is written, and no other process of the same user can look in.
    pub is_undumpable: bool,
    /// No page goes to swap.
    pub is_locked: bool,
}

/// Protects the memory of this process as far as the system lets it. Where it does not, the process goes on; `usufruct doctor`
/// says what to change.
pub fn protect() -> Protection {
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let undumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Where the limit holds, locking would make later allocations fail.
    let is_locked =
        may_lock_everything() && mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).is_ok();
    Protection { is_undumpable: no_core.is_ok() && undumpable.is_ok(), is_locked }
}

/// Whether memory can be locked without limit.
fn may_lock_everything() -> bool {
    getrlimit(Resource::Memlock).current.is_none() || capabilities() & CAP_IPC_LOCK != 0
}

/// The swap that could hold a page of a process that may not lock its memory: none, in memory or encrypted, or open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    None,
    /// Compressed in memory (zram), or on an encrypted device (dm-crypt).
    Sealed,
    Open,
}

/// What swap the system has.
pub fn swap() -> Swap {
    sort(&fs::read_to_string("/proc/swaps").unwrap_or_default(), |device| {
        let name = device.rsplit('/').next().unwrap_or_default();
        let uuid = fs::read_to_string(format!("/sys/class/block/{name}/dm/uuid")).unwrap_or_default();
        name.starts_with("zram") || uuid.starts_with("CRYPT-")
    })
}

fn sort(swaps: &str, is_sealed: impl Fn(&str) -> bool) -> Swap {
    let devices: Vec<&str> = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    match devices.is_empty() {
        true => Swap::None,
        false if devices.into_iter().all(is_sealed) => Swap::Sealed,
        false => Swap::Open,
    }
}

/// The capabilities in force, as bits.
fn capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

const CAP_IPC_LOCK: u64 = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_told_apart() {
        const HEAD: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        let sealed = |device: &str| device.contains("zram") || device.contains("crypt");
        assert_eq!(sort("", sealed), Swap::None);
        assert_eq!(sort(HEAD, sealed), Swap::None);
        assert_eq!(sort(&format!("{HEAD}/dev/zram0 partition 1 0 5\n/dev/crypt1 partition 1 0 4\n"), sealed), Swap::Sealed);
        assert_eq!(sort(&format!("{HEAD}/dev/zram0 partition 1 0 5\n/swapfile file 1 0 4\n"), sealed), Swap::Open);
    }
}
