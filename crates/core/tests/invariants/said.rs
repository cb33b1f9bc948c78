//! What the log says, read from its leaves as JSON and told by the prose of the model, without the register.

use serde_json::Value;
use usufruct_core::Time;
use usufruct_core::statement::Statement;

use crate::common::{City, KEYS};

/// The statements that were taken, in their order, each with the hash of its revision.
#[derive(Clone)]
pub struct Said(Vec<(Value, String)>);

impl Said {
    pub fn by(city: &City) -> Self {
        let mut said = Self(Vec::new());
        city.statements.iter().for_each(|statement| said.push(statement));
        said
    }

    /// Adds what was taken next.
    pub fn push(&mut self, statement: &Statement) {
        self.0.push((json(statement), statement.hash().unwrap().to_string()));
    }

    /// When each was said.
    pub fn times(&self) -> Vec<Time> {
        self.0.iter().map(|(said, _)| time(&said["at"])).collect()
    }

    /// All statements of a type, the newest first.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a (Value, String)> {
        self.0.iter().rev().filter(move |(said, _)| said["type"] == kind)
    }

    /// The newest revision of an object and its hash.
    pub fn revision<'a>(&'a self, kind: &'a str, id: &str) -> Option<(&'a Value, &'a str)> {
        self.all(kind).find(|(said, _)| said["id"] == id).map(|(said, hash)| (&said["body"], hash.as_str()))
    }

    /// Where an object stands: after its last step, or as a draft or a proposal after a revision, where `reverts` says that a revision makes it one.
    pub fn state(&self, id: &str, reverts: bool) -> Option<&str> {
        for (said, _) in self.0.iter().rev() {
            if said["type"] == "StatusChange" && said["body"]["object"] == id {
                return said["body"]["to"].as_str();
            }
            if said["id"] == id && (reverts || said["rev"] == 1) {
                return Some(if said["type"] == "Camera" { "proposed" } else { "draft" });
            }
        }
        None
    }

    /// Where an agreement stands: after its last step, or as a draft after a revision that says other than what was found when it was looked at.
    pub fn state_of_agreement(&self, id: &str) -> Option<&str> {
        let terms = |body: &Value| {
            let mut body = body.clone();
            ["reviews", "review_due"].iter().for_each(|found| drop(body.as_object_mut().unwrap().remove(*found)));
            body
        };
        let (mut state, mut agreed) = (None, None);
        for (said, _) in &self.0 {
            if said["id"] == id && agreed.as_ref() != Some(&terms(&said["body"])) {
                (state, agreed) = (Some("draft"), Some(terms(&said["body"])));
            } else if said["type"] == "StatusChange" && said["body"]["object"] == id {
                state = said["body"]["to"].as_str();
            }
        }
        state
    }

    /// All revisions of an object, the newest first.
    pub fn revisions<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().rev().filter(move |(said, _)| said["id"] == id).map(|(said, _)| said)
    }

    /// Whether the object ever took a step to one of these states.
    pub fn was_ever(&self, id: &str, states: &[&str]) -> bool {
        self.all("StatusChange")
            .any(|(said, _)| said["body"]["object"] == id && said["body"]["to"].as_str().is_some_and(|to| states.contains(&to)))
    }

    /// Whether an order to suspend or empty one of `targets` stands, or one to restrict them to other blocks.
    pub fn is_withheld(&self, targets: &[&str], blocks: &[&str]) -> bool {
        let lifted = |id: &Value| self.all("Order").any(|(said, _)| said["body"]["lifts"] == *id);
        self.all("Order").any(|(said, _)| {
            let body = &said["body"];
            let concerns = targets.iter().any(|target| body["target"] == *target);
            let leaves = |block: &&str| body["blocks"].as_array().is_some_and(|list| list.iter().any(|one| one == block));
            // Nothing carries it out here, and until then everything under the mandate is withheld.
            let deletes = body["kind"] == "delete" && body["target"].as_str().is_some_and(|target| target.starts_with("mdt_"));
            let withholds = body["kind"] == "suspend" || deletes || body["kind"] == "restrict" && !blocks.iter().all(leaves);
            concerns && withholds && !lifted(&said["id"])
        })
    }

    /// The kind of a body.
    pub fn kind_of(&self, agency: &Value) -> &str {
        self.all("Agency")
            .find(|(said, _)| said["id"] == *agency)
            .and_then(|(said, _)| said["body"]["kind"].as_str())
            .unwrap_or("")
    }
}

/// A statement as the log holds it.
pub fn json(statement: &Statement) -> Value {
    serde_json::from_slice(&statement.leaf().unwrap()[2..]).unwrap()
}

pub fn time(value: &Value) -> Time {
    value.as_str().unwrap().parse().unwrap()
}

/// How many people in how many different roles of one body signed: the most of any body, machines left out.
pub fn people(statement: &Statement) -> usize {
    let bodies = statement.approvals.iter().map(|approval| people_of(statement, approval.agency.as_str()));
    bodies.max().unwrap_or(0)
}

/// How many people in how many different roles of this body signed, machines left out.
pub fn people_of(statement: &Statement, body: &str) -> usize {
    let said = json(statement);
    let role =
        |key: &Value| KEYS.iter().find(|(name, _)| key == name).map(|(_, role)| *role).filter(|role| *role != "automation");
    let signed = said["approvals"].as_array().unwrap().iter().filter(|one| one["agency"] == body);
    let mut roles: Vec<_> = signed.filter_map(|one| role(&one["key"])).collect();
    roles.sort_unstable();
    roles.dedup();
    roles.len()
}
