//! Registers of elsewhere as drafts of mandates, at the command line.

use crate::common::{Folder, fails};

#[test]
fn registers_of_elsewhere_are_counted_and_one_entry_is_told_all_it_lacks() {
    let counts = fails(&["mandate", "drafts"], 1);
    assert!(counts.contains("650 entries, 0 complete") && counts.contains("1530 entries, 0 complete"), "{counts}");
    assert!(counts.contains("163 entries, 0 complete"), "{counts}");
    let bases: Vec<_> = counts.lines().filter(|line| line.trim_start().starts_with("legal_basis ")).collect();
    assert_eq!(bases.len(), 2, "{counts}");
    assert!(bases[0].ends_with(" 650") && bases[1].ends_with(" 362"), "{bases:?}");
    let one = fails(&["mandate", "drafts", "--entry", "11136893"], 1);
    assert!(one.starts_with("Actonomy AI Matching Systeem\n"), "{one}");
    assert!(one.contains("legal_basis: This field is missing. State the law it rests on; without one it cannot exist."), "{one}");
    let unknown = fails(&["mandate", "drafts", "--entry", "none"], 1);
    assert!(unknown.contains("No entry has the id `none`. Look the id up in the register it comes from."), "{unknown}");
}

#[test]
fn a_file_that_is_no_register_is_refused() {
    let folder = Folder::new("drafts");
    let said = fails(&["mandate", "drafts", &folder.write("other.csv", "name,age\nA,3\n")], 2);
    assert!(said.contains("This is not the CSV of the pandemic measures: ") && said.contains("Fetch `public_data/"), "{said}");
    assert!(fails(&["mandate", "drafts", &folder.at("nowhere.csv")], 2).contains("cannot be read"));
}
