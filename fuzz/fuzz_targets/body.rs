//! Every reader of what people write, over TOML and JSON: problems, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usufruct_core::agency::Agency;
use usufruct_core::agreement::Agreement;
use usufruct_core::assessment::Assessment;
use usufruct_core::audit::Audit;
use usufruct_core::block::DataBlock;
use usufruct_core::body_audit::BodyAudit;
use usufruct_core::breach::Breach;
use usufruct_core::camera::Camera;
use usufruct_core::certificate::Certificate;
use usufruct_core::check::ContractCheck;
use usufruct_core::contract::Contract;
use usufruct_core::incident::Incident;
use usufruct_core::key::PublishedKey;
use usufruct_core::lawpack::Lawpack;
use usufruct_core::mandate::Mandate;
use usufruct_core::meeting::Meeting;
use usufruct_core::notice::Notice;
use usufruct_core::order::Order;
use usufruct_core::purge::Purge;
use usufruct_core::rotation::Rotation;
use usufruct_core::service::Service;
use usufruct_core::status::StatusChange;
use usufruct_core::tally::Tally;
use usufruct_core::uncertified::Uncertified;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let json = serde_json::from_str::<serde_json::Value>(text).ok();
    let toml = toml::from_str::<toml::Table>(text).ok().and_then(|table| serde_json::to_value(table).ok());
    for value in json.into_iter().chain(toml) {
        let _ = Agency::read(&value);
        let _ = Agreement::read(&value);
        let _ = Assessment::read(&value);
        let _ = Audit::read(&value);
        let _ = DataBlock::read(&value);
        let _ = BodyAudit::read(&value);
        let _ = Breach::read(&value);
        let _ = Camera::read(&value);
        let _ = Certificate::read(&value);
        let _ = Contract::read(&value);
        let _ = ContractCheck::read(&value);
        let _ = Incident::read(&value);
        let _ = Lawpack::read(&value);
        let _ = PublishedKey::read(&value);
        let _ = Mandate::read(&value);
        let _ = Meeting::read(&value);
        let _ = Notice::read(&value);
        let _ = Order::read(&value);
        let _ = Purge::read(&value);
        let _ = Rotation::read(&value);
        let _ = Service::read(&value);
        let _ = StatusChange::read(&value);
        let _ = Tally::read(&value);
        let _ = Uncertified::read(&value);
    }
});
