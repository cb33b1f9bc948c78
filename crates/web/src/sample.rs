//! Sample relying parties.
