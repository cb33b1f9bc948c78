//! Another pseudonym for everybody at a service: the statement, and the walk over all residents.

use std::path::Path;

use usufruct_core::Text;

use crate::city::{City, mandate, service};
use crate::seconds;

/// The whole of it and what it is for each resident, who has agreed and is known to the service.
pub fn print(dir: &Path) {
    println!("\n| residents at the service | all of them have another pseudonym, ms | µs for each |\n|---:|---:|---:|");
    for count in [100, 10_000] {
        let folder = dir.join(format!("rotation-{count}"));
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        let city = City::found(&folder, None);
        for resident in city.enrol(count) {
            city.app.consent_at_counter(resident, &service(), &mandate(), &[]).expect("she agrees");
            city.app.subject(resident, &service()).expect("she has a pseudonym there");
        }
        let reason = Text::new("Measured.", "量測。");
        let time = seconds(|| {
            let rotated = city.app.rotate_service(&service(), None, &reason).expect("the pass is whole");
            assert_eq!(rotated.residents, count as u64, "everybody got one");
        });
        println!("| {count} | {:.1} | {:.1} |", time * 1e3, time * 1e6 / count as f64);
        drop(city);
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
