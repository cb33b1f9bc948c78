//! Rich authorization requests (RFC 9396): which blocks of which mandate a service wants, and what it was granted.

use serde::Deserialize;
use serde_json::{Value, json};
use usufruct_app::Granted;
use usufruct_core::id::{BlockId, MandateId};
use usufruct_core::register::Register;

use super::fields::OAuthError;

/// The one type of this provider.
pub(crate) const TYPE: &str = "https://usufruct.org/rar/use-v1";
/// Longest value, in bytes, and most details in it.
const LONGEST: usize = 8 * 1024;
const MOST: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detail {
    r#type: String,
    /// The mandate, and after an `@` the hash of the revision that the service has read.
    mandate: String,
    /// Ids of blocks.
    #[serde(default)]
    datatypes: Option<Vec<BlockId>>,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "a service may repeat it; what counts stands in the mandate")]
    purpose: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "a service may repeat it; what counts stands in the mandate")]
    retention: Option<String>,
}

/// Reads `authorization_details`: for each mandate the blocks that are wanted by any of its details.
pub(crate) fn read(text: &str, register: &Register, issuer: &str) -> Result<Vec<(MandateId, Vec<BlockId>)>, OAuthError> {
    let bad = |what| OAuthError::new("invalid_authorization_details", what);
    if text.len() > LONGEST {
        return Err(bad("authorization_details is too long"));
    }
    let details: Vec<Detail> =
        serde_json::from_str(text).map_err(|_| bad("authorization_details is no list of details of a known type"))?;
    if details.is_empty() || details.len() > MOST {
        return Err(bad("authorization_details has no detail, or more than ten"));
    }
    let mut all: Vec<(MandateId, Vec<BlockId>)> = Vec::new();
    for detail in details {
        let (mandate, blocks) =
            wanted(detail, register, issuer).ok_or_else(|| bad("a detail names what the mandate does not"))?;
        match all.iter_mut().find(|(known, _)| *known == mandate) {
            Some((_, known)) => known.extend(blocks),
            None => all.push((mandate, blocks)),
        }
    }
    Ok(all)
}

fn wanted(detail: Detail, register: &Register, issuer: &str) -> Option<(MandateId, Vec<BlockId>)> {
    let (id, revision) = detail.mandate.split_once('@').map_or((detail.mandate.as_str(), None), |(id, hash)| (id, Some(hash)));
    let mandate: MandateId = id.parse().ok()?;
    let entry = register.mandates.get(&mandate)?;
    let blocks = match detail.datatypes {
        Some(blocks) => blocks,
        None => entry.body.blocks.iter().map(|asked| asked.block.clone()).collect(),
    };
    let is_known = detail.r#type == TYPE
        && revision.is_none_or(|hash| hash == entry.hash.to_string())
        && blocks.iter().all(|block| entry.body.asked(block).is_some())
        && detail.actions.iter().all(|action| action == "read")
        && detail.locations.iter().all(|location| *location == location_of(issuer));
    is_known.then_some((mandate, blocks))
}

/// What was granted, as the service may read it.
pub(crate) fn granted(granted: &[Granted], register: &Register, issuer: &str) -> Value {
    let detail = |granted: &Granted| {
        let entry = register.mandates.get(&granted.mandate);
        json!({
            "type": TYPE,
            "mandate": format!("{}@{}", granted.mandate, granted.revision),
            "datatypes": granted.blocks.iter().map(|(block, _)| block).collect::<Vec<_>>(),
            "actions": ["read"],
            "locations": [location_of(issuer)],
            "purpose": entry.map(|entry| entry.body.purpose.dpv.clone()),
            "until": granted.until,
        })
    };
    Value::Array(granted.iter().map(detail).collect())
}

fn location_of(issuer: &str) -> String {
    format!("{issuer}/api/releases")
}
