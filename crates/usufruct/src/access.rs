//! How commands change a pass: directly when nothing runs on the data directory, otherwise through the server that does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::log::Source;
use usufruct_app::vault::hpke::PublicKey;
use usufruct_app::{
    About, App, Approved, AuditReport, CaseRequest, DeskCase, DueList, Guardianship, NewResident, OverdueDeletion, Posting,
    ProposalView, Proposed, Publication, RecountDay, Rotated, ServiceRotated, Way,
};
use usufruct_core::breach::Breach;
use usufruct_core::id::{AgencyId, BlockId, BreachId, MandateId, ServiceId};
use usufruct_core::register::Register;
use usufruct_core::statement::{Approval, Signer, Statement};
use usufruct_core::tally::Day;
use usufruct_core::{Text, Time};
use usufruct_web::{SealedList, sealed_lists};

use crate::clock::{self, SystemClock};
use crate::compose::LogKeys;
use crate::data_dir::{self, ConsoleFile, DataDir};
use crate::failure::Failure;
use crate::public_log::PublicLog;

/// A pass that can be changed.
pub enum Access {
    /// This process holds the data directory.
    Local { app: Arc<App>, _dir: DataDir },
    /// A server holds it.
    Remote { console: ConsoleFile, log: PublicLog },
}

/// A resident's one-time code, and the number under which the office files it.
#[derive(Deserialize)]
pub struct Invited {
    pub resident: u64,
    pub code: String,
}

impl Access {
    /// Opens the pass in `path`, whoever holds it.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let setup = data_dir::setup(path)?;
        if let Some(dir) = DataDir::try_hold(path)? {
            return Ok(Self::Local { app: dir.open(&setup, Arc::new(SystemClock))?, _dir: dir });
        }
        let console = data_dir::console(path)?.ok_or_else(|| {
            Failure::refused(
                format!("Another process is using the data directory {}, and it is no server.", path.display()),
                "Wait until it is done and try again.",
            )
        })?;
        Ok(Self::Remote { console, log: PublicLog::in_data_dir(path)? })
    }

    /// The register as it is now. Of a running server it is read from the public log, once that has caught up with what is committed.
    pub fn register(&self) -> Result<Arc<Register>, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.register()),
            Self::Remote { console, log } => {
                log.await_size(understood(get(console, "log")?["size"].clone())?)?;
                Ok(Arc::new(log.register()?))
            }
        }
    }

    /// The name and the keys of the log.
    pub fn log_keys(&self) -> Result<LogKeys, Failure> {
        let (vkeys, receipt_vkey) = match self {
            Self::Local { app, .. } => (app.log_vkeys(), app.receipt_vkey()),
            Self::Remote { log, .. } => {
                let lines = |path| {
                    let text = log.fetch(path).map_err(Failure::of)?.unwrap_or_default();
                    Ok::<_, Failure>(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect::<Vec<_>>())
                };
                (lines("vkeys")?, lines("receipt-vkey")?.concat())
            }
        };
        let origin = vkeys.first().and_then(|key| key.split('+').next()).unwrap_or_default().to_owned();
        Ok(LogKeys { origin, vkeys, receipt_vkey })
    }

    /// Publishes the statements that `make` makes of the register as it is and the time, all of them or none, and finishes what they set off.
    ///
    /// The machine publishes statements of its own, such as the tallies of a day. Where one comes between the reading of the register and the
    /// publication, the statements are made and signed again. They are never where anything else is wrong with them.
    pub fn publish(&self, mut make: impl FnMut(&Register, Time) -> Result<Vec<Statement>, Failure>) -> Result<(), Failure> {
        for _ in 1..TRIES {
            match self.put(make(&*self.register()?, clock::now())?) {
                Err(failure) if failure.is_overtaken() => {}
                other => return other,
            }
        }
        self.put(make(&*self.register()?, clock::now())?)
    }

    fn put(&self, statements: Vec<Statement>) -> Result<(), Failure> {
        match self {
            Self::Local { app, .. } => {
                app.publish(&Publication { statements })?;
                app.run_breaches()?;
                Ok(app.tick()?)
            }
            Self::Remote { console, .. } => post(console, "publications", &json!(statements)).map(drop),
        }
    }

    /// Keeps statements until officials have approved them. Answers the id under which they are found.
    pub fn propose(&self, statements: &[Proposed]) -> Result<String, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.propose(statements.to_vec())?),
            Self::Remote { console, .. } => understood(post(console, "proposals", &json!(statements))?["proposal"].clone()),
        }
    }

    /// What waits for approvals, each with how far it has come.
    pub fn proposals(&self) -> Result<Vec<ProposalView>, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.proposals(None)?.iter().map(|proposal| ProposalView::of(app, proposal)).collect()),
            Self::Remote { console, .. } => understood(get(console, "proposals")?),
        }
    }

    /// Adds approvals of one key. Answers whether the proposal was published with them.
    pub fn approve_proposal(&self, id: &str, signer: &Signer, approvals: Vec<Approval>) -> Result<bool, Failure> {
        match self {
            Self::Local { app, .. } => {
                let is_published = app.approve_proposal(id, signer.agency(), signer.key(), approvals)?;
                app.tick()?;
                Ok(is_published)
            }
            Self::Remote { console, .. } => {
                let body = json!({ "proposal": id, "agency": signer.agency(), "key": signer.key(), "approvals": approvals });
                understood(post(console, "proposals/approve", &body)?["published"].clone())
            }
        }
    }

    /// Takes a proposal back for a body that had to approve it.
    pub fn withdraw_proposal(&self, id: &str, body: &AgencyId) -> Result<(), Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.withdraw_proposal(id, body)?),
            Self::Remote { console, .. } => {
                post(console, "proposals/withdraw", &json!({ "proposal": id, "agency": body })).map(drop)
            }
        }
    }

    /// Makes a pass for a new resident.
    pub fn enrol(&self, blocks: BTreeMap<BlockId, String>) -> Result<Invited, Failure> {
        match self {
            Self::Local { app, .. } => {
                let new = NewResident { blocks: blocks.into_iter().collect() };
                let enrolled = app.enrol(&[new])?;
                let resident = enrolled.first().map(|enrolled| enrolled.resident).unwrap_or_default();
                Ok(Invited { resident, code: app.invite(resident, None)? })
            }
            Self::Remote { console, .. } => read(post(console, "residents", &json!({ "blocks": blocks }))?),
        }
    }

    /// Opens a backup with today's keys.
    pub fn restore_drill(&self, database: &str, made_at: Time, sample: usize) -> Result<AuditReport, Failure> {
        match self {
            Self::Local { app, .. } => {
                let report = app.drill_backup(database, made_at, sample)?;
                app.tick()?;
                Ok(report)
            }
            Self::Remote { console, .. } => {
                let body = json!({ "database": database, "made_at": made_at, "sample": sample });
                understood(post(console, "drills/restore", &body)?)
            }
        }
    }

    /// Says in public that a backup does not open at all.
    pub fn publish_unopened(&self, made_at: Option<Time>) -> Result<AuditReport, Failure> {
        match self {
            Self::Local { app, .. } => {
                let report = app.publish_unopened(made_at)?;
                app.tick()?;
                Ok(report)
            }
            Self::Remote { console, .. } => understood(post(console, "drills/unopened", &json!({ "made_at": made_at }))?),
        }
    }

    /// Erases synthetic residents and searches for their keys.
    pub fn canary_scan(&self, residents: usize, places: &[PathBuf]) -> Result<AuditReport, Failure> {
        match self {
            Self::Local { app, .. } => {
                let report = app.canary_scan(residents, places)?;
                app.tick()?;
                Ok(report)
            }
            Self::Remote { console, .. } => {
                understood(post(console, "drills/canary", &json!({ "residents": residents, "places": places }))?)
            }
        }
    }

    /// What an oversight body needs in order to recount these days.
    pub fn recount_days(&self, mandate: &MandateId, days: &[Day]) -> Result<Vec<RecountDay>, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.recount_days(mandate, days)?),
            Self::Remote { console, .. } => understood(post(console, "recounts", &json!({ "mandate": mandate, "days": days }))?),
        }
    }

    /// Whom a breach concerns, in numbers as they may be published, and the names of the blocks.
    pub fn concerned(&self, breach: &Breach) -> Result<(String, Vec<BlockId>), Failure> {
        match self {
            Self::Local { app, .. } => {
                let concerned = app.concerned(breach)?;
                Ok((concerned.residents.to_string(), concerned.blocks.into_iter().collect()))
            }
            Self::Remote { console, .. } => {
                let answer = post(console, "breaches/count", &json!(breach))?;
                Ok((understood(answer["residents"].clone())?, understood(answer["blocks"].clone())?))
            }
        }
    }

    /// The file numbers of all residents who get a letter about a breach.
    pub fn breach_letters(&self, id: &BreachId) -> Result<Vec<u64>, Failure> {
        let mut all: Vec<u64> = Vec::new();
        loop {
            let after = all.last().copied();
            let part: Vec<u64> = match self {
                Self::Local { app, .. } => app.breach_letters(id, after)?,
                Self::Remote { console, .. } => {
                    let answer = post(console, "breaches/letters", &json!({ "breach": id, "after": after }))?;
                    understood(answer["residents"].clone())?
                }
            };
            if part.is_empty() {
                return Ok(all);
            }
            all.extend(part);
        }
    }

    /// Replaces the key of a resident, or with `None` the root of the key tree.
    pub fn rotate(&self, resident: Option<u64>) -> Result<(), Failure> {
        match self {
            Self::Local { app, .. } => Ok(resident.map_or_else(|| app.rotate_root(), |resident| app.rotate_resident(resident))?),
            Self::Remote { console, .. } => post(console, "rotations", &json!({ "resident": resident })).map(drop),
        }
    }

    /// Replaces all pseudonyms of a service's domain.
    pub fn rotate_service(
        &self,
        service: &ServiceId,
        breach: Option<&BreachId>,
        reason: &Text,
    ) -> Result<ServiceRotated, Failure> {
        match self {
            Self::Local { app, .. } => {
                let rotated = app.rotate_service(service, breach, reason)?;
                app.tick()?;
                Ok(rotated)
            }
            Self::Remote { console, .. } => {
                let body = json!({ "service": service, "breach": breach, "reason": reason });
                understood(post(console, "rotations", &body)?)
            }
        }
    }

    /// Replaces the key of a mandate.
    pub fn rotate_mandate(&self, mandate: &MandateId) -> Result<Rotated, Failure> {
        match self {
            Self::Local { app, .. } => {
                let rotated = app.rotate_mandate(mandate)?;
                app.tick()?;
                Ok(rotated)
            }
            Self::Remote { console, .. } => understood(post(console, "rotations", &json!({ "mandate": mandate }))?),
        }
    }

    /// Makes a new one-time code for a resident; for one who has a way in already, two clerks have approved `request`.
    pub fn invite(&self, resident: u64, request: Option<&str>) -> Result<Invited, Failure> {
        match self {
            Self::Local { app, .. } => Ok(Invited { resident, code: app.invite(resident, request)? }),
            Self::Remote { console, .. } => {
                read(post(console, "invitations", &json!({ "resident": resident, "request": request }))?)
            }
        }
    }

    /// Does at the case desk what officials signed. Answers what waits for their office after it.
    pub fn act_at_desk(&self, said: &str, approvals: &[Approval]) -> Result<Vec<DeskCase>, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.act_at_desk(said, approvals)?),
            Self::Remote { console, .. } => understood(post(console, "cases", &json!({ "said": said, "approvals": approvals }))?),
        }
    }

    /// Begins a request to file a case for a resident at a counter. Answers its id.
    pub fn begin_counter_case(&self, resident: u64, asked: &CaseRequest) -> Result<String, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.begin_counter_case(resident, asked)?),
            Self::Remote { console, .. } => {
                let answer = post(console, "counter-cases", &json!({ "resident": resident, "case": counter_case(asked) }))?;
                understood(answer["request"].clone())
            }
        }
    }

    /// A clerk approves the filing of a case; with the second one it is filed.
    pub fn approve_counter_case(&self, id: &str, asked: &CaseRequest, approval: &Approval) -> Result<Approved, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.approve_counter_case(id, asked, approval)?),
            Self::Remote { console, .. } => {
                let body = json!({ "request": id, "case": counter_case(asked), "approval": approval });
                let count: u64 = understood(post(console, "counter-cases/approve", &body)?["approved"].clone())?;
                Ok(if count == 2 { Approved::Twice } else { Approved::Once })
            }
        }
    }

    /// The next lists that residents get by post, sealed for the print house.
    pub fn sealed_lists(&self, to: &PublicKey, after: Option<u64>) -> Result<Vec<SealedList>, Failure> {
        match self {
            Self::Local { app, .. } => Ok(sealed_lists(app, to, after)?),
            Self::Remote { console, .. } => {
                understood(post(console, "letters", &json!({ "to": URL_SAFE_NO_PAD.encode(to.bytes()), "after": after }))?)
            }
        }
    }

    /// Notes that a list is where the print house takes it.
    pub fn list_posted(&self, due: &DueList) -> Result<(), Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.list_posted(due)?),
            Self::Remote { console, .. } => post(console, "letters/posted", &json!(due)).map(drop),
        }
    }

    /// Begins a request to order a list for a resident at a counter. Answers its id.
    pub fn begin_counter_list(&self, resident: u64, posting: Posting, language: &str) -> Result<String, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.begin_counter_list(resident, posting, language)?),
            Self::Remote { console, .. } => {
                let body = json!({ "resident": resident, "posting": posting.code(), "language": language });
                understood(post(console, "letters/orders", &body)?["request"].clone())
            }
        }
    }

    /// A clerk approves the order of a list; with the second one it stands.
    pub fn approve_counter_list(
        &self,
        id: &str,
        posting: Posting,
        language: &str,
        approval: &Approval,
    ) -> Result<Approved, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.approve_counter_list(id, posting, language, approval)?),
            Self::Remote { console, .. } => {
                let body = json!({ "request": id, "posting": posting.code(), "language": language, "approval": approval });
                let count: u64 = understood(post(console, "letters/orders/approve", &body)?["approved"].clone())?;
                Ok(if count == 2 { Approved::Twice } else { Approved::Once })
            }
        }
    }

    /// Begins a request that two clerks have to approve. Answers its id.
    pub fn begin_counter_request(&self, resident: u64, way: Way) -> Result<String, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.begin_counter_request(resident, way)?),
            Self::Remote { console, .. } => {
                let answer = post(console, "counter-requests", &json!({ "resident": resident, "way": way.code() }))?;
                understood(answer["request"].clone())
            }
        }
    }

    /// A clerk approves a request.
    pub fn approve_counter_request(&self, request: &str, approval: &Approval) -> Result<Approved, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.approve_counter_request(request, approval)?),
            Self::Remote { console, .. } => {
                let body = json!({ "request": request, "approval": approval });
                let count: u64 = understood(post(console, "counter-requests/approve", &body)?["approved"].clone())?;
                Ok(if count == 2 { Approved::Twice } else { Approved::Once })
            }
        }
    }

    /// Begins a request about a guardianship that two clerks have to approve. Answers its id.
    pub fn begin_guardian_request(&self, asked: &Guardianship) -> Result<String, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.begin_guardian_request(asked)?),
            Self::Remote { console, .. } => {
                let body = json!({ "person": asked.person, "guardian": asked.guardian, "ends_at": asked.ends_at });
                understood(post(console, "guardian-requests", &body)?["request"].clone())
            }
        }
    }

    /// A clerk approves a request about a guardianship; with the second one it is done.
    pub fn approve_guardian_request(&self, request: &str, approval: &Approval) -> Result<Approved, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.approve_guardian_request(request, approval)?),
            Self::Remote { console, .. } => {
                let body = json!({ "request": request, "approval": approval });
                let count: u64 = understood(post(console, "guardian-requests/approve", &body)?["approved"].clone())?;
                Ok(if count == 2 { Approved::Twice } else { Approved::Once })
            }
        }
    }

    /// Makes a card and answers the code to print.
    pub fn issue_card(&self, resident: u64, pin: &str, request: Option<&str>) -> Result<String, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.issue_card(resident, pin, request)?),
            Self::Remote { console, .. } => {
                let body = json!({ "resident": resident, "pin": pin, "request": request });
                understood(post(console, "cards", &body)?["code"].clone())
            }
        }
    }

    /// What services have not answered in time.
    pub fn overdue_deletions(&self) -> Result<Vec<OverdueDeletion>, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.overdue_deletions()?),
            Self::Remote { console, .. } => understood(get(console, "deletions")?),
        }
    }

    /// Ends the cards of a resident. Answers how many there were.
    pub fn revoke_cards(&self, resident: u64) -> Result<u64, Failure> {
        match self {
            Self::Local { app, .. } => Ok(app.revoke_cards(resident)?),
            Self::Remote { console, .. } => {
                understood(post(console, "cards/revoke", &json!({ "resident": resident }))?["cards"].clone())
            }
        }
    }
}

fn counter_case(asked: &CaseRequest) -> Value {
    let (line, service) = match &asked.about {
        About::Line(line) => (Some(line), None),
        About::Service(service) => (None, Some(service)),
        About::Pass => (None, None),
    };
    json!({ "kind": asked.kind, "line": line, "service": service, "words": asked.words })
}

fn read(answer: Value) -> Result<Invited, Failure> {
    understood(answer)
}

fn understood<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|_| Failure::impossible("The server's answer cannot be understood.", "Run the same release as the server."))
}

fn get(console: &ConsoleFile, path: &str) -> Result<Value, Failure> {
    call(console, |client, url| client.get(format!("{url}/{path}")))
}

fn post(console: &ConsoleFile, path: &str, body: &Value) -> Result<Value, Failure> {
    call(console, |client, url| client.post(format!("{url}/{path}")).json(body))
}

/// Asks the console of a running server.
fn call(console: &ConsoleFile, request: impl FnOnce(&Client, &str) -> RequestBuilder) -> Result<Value, Failure> {
    let silent = |error: &dyn std::fmt::Display| {
        Failure::impossible(
            format!("The server at {} does not answer: {error}.", console.url),
            "See whether it still runs, and read its messages.",
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| silent(&error))?;
    let answer = runtime.block_on(async {
        let client = Client::builder().timeout(Duration::from_secs(3_600)).no_proxy().build()?;
        let answer = request(&client, &format!("{}/console/api", console.url)).bearer_auth(&console.token).send().await?;
        let status = answer.status();
        Ok((status, answer.json::<Value>().await?))
    });
    let (status, answer) = answer.map_err(|error: reqwest::Error| silent(&error.without_url()))?;
    if status.is_success() {
        return Ok(answer);
    }
    let detail = answer["detail"].as_str().unwrap_or("The server refused. See its messages.").to_owned();
    match answer["problems"].as_array() {
        Some(problems) => {
            let line = |problem: &Value| {
                format!(
                    "  {}: {}",
                    problem["field"].as_str().unwrap_or_default(),
                    problem["message"].as_str().unwrap_or_default()
                )
            };
            let lines: Vec<String> = problems.iter().map(line).collect();
            Err(Failure::unlawful(
                &lines,
                problems.iter().filter_map(|problem| problem["field"].as_str().zip(problem["rule"].as_str())),
            ))
        }
        None => Err(Failure::of(detail)),
    }
}

/// How often statements are made, when the machine keeps publishing between.
const TRIES: usize = 20;
