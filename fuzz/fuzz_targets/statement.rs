//! A statement that parses has one byte form, and the register takes or refuses it without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_core::register::Register;
use usufruct_core::statement::Statement;

fuzz_target!(|data: &[u8]| {
    if let Ok(statement) = Statement::parse(data) {
        let leaf = statement.leaf().expect("what parsed can be written");
        assert_eq!(&leaf[2..], data);
        let _ = Register::default().apply(&statement, 0);
    }
});
