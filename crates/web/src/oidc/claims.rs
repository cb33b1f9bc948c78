//! What a request asks of the ID token by name (OpenID Connect Core 5.5). Whatever there is to say stands in the token anyway, so only two of its
//! claims change an answer: the class of the sign-in, and the subject. A claim that is never said is left out (5.5.1).

use serde_json::{Map, Value};
use usufruct_core::means::Means;

use super::fields::{Fields, OAuthError};

/// What the parameter `claims` demands.
#[derive(Default)]
pub(crate) struct Demanded {
    /// The classes of which the sign-in has to have one; `None` where any will do. An empty list is met by nothing.
    classes: Option<Vec<Means>>,
    /// The weakest class that is wished for, and as good as demanded: what is asked for is never lowered unsaid.
    wished: Option<Means>,
    /// The only resident who may answer, as the service knows her.
    pub subject: Option<String>,
}

impl Demanded {
    /// Reads the parameter of a request.
    pub fn read(fields: &Fields) -> Result<Self, OAuthError> {
        let Some(text) = fields.get("claims") else { return Ok(Self::default()) };
        let asked: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| OAuthError::new("invalid_request", "claims is no JSON object"))?;
        let id_token = member(&asked, "id_token")?;
        member(&asked, "userinfo")?;
        let Some(id_token) = id_token else { return Ok(Self::default()) };
        let subject = match member(id_token, "sub")?.and_then(|sub| sub.get("value")) {
            None => None,
            Some(Value::String(subject)) => Some(subject.clone()),
            Some(_) => return Err(malformed()),
        };
        let Some(acr) = member(id_token, "acr")? else { return Ok(Self { subject, ..Self::default() }) };
        let is_essential = match acr.get("essential") {
            None => false,
            Some(essential) => essential.as_bool().ok_or_else(malformed)?,
        };
        let Some(named) = values(acr)? else { return Ok(Self { subject, ..Self::default() }) };
        let known: Vec<Means> = named.into_iter().filter_map(Means::from_acr).collect();
        Ok(match is_essential {
            true => Self { classes: Some(known), wished: None, subject },
            false => Self { classes: None, wished: known.into_iter().min(), subject },
        })
    }

    /// Whether a sign-in by these means is of a class that is demanded.
    pub fn takes(&self, means: Means) -> bool {
        self.classes.as_ref().is_none_or(|classes| classes.contains(&means))
    }

    /// Whether there is a sign-in that would do.
    pub fn can_be_met(&self) -> bool {
        self.classes.as_ref().is_none_or(|classes| !classes.is_empty())
    }

    /// The weakest means that will do.
    pub fn weakest(&self) -> Means {
        let demanded = self.classes.iter().flatten().copied().min();
        demanded.or(self.wished).unwrap_or(Means::Delegate)
    }
}

/// A member that is an object, or nothing in particular.
fn member<'a>(of: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Map<String, Value>>, OAuthError> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(found)) => Ok(Some(found)),
        Some(_) => Err(malformed()),
    }
}

/// The values that a claim is to have one of.
fn values(claim: &Map<String, Value>) -> Result<Option<Vec<&str>>, OAuthError> {
    let named: Vec<&Value> = match (claim.get("value"), claim.get("values")) {
        (None, None) => return Ok(None),
        (Some(value), None) => vec![value],
        (None, Some(Value::Array(values))) => values.iter().collect(),
        _ => return Err(malformed()),
    };
    named.into_iter().map(|value| value.as_str().ok_or_else(malformed)).collect::<Result<_, _>>().map(Some)
}

fn malformed() -> OAuthError {
    OAuthError::new("invalid_request", "claims is not as OpenID Connect Core 5.5 has it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(claims: &str) -> Result<Demanded, OAuthError> {
        let encoded = url::form_urlencoded::Serializer::new(String::new()).append_pair("claims", claims).finish();
        Demanded::read(&Fields::parse(encoded.as_bytes()).unwrap())
    }

    fn classes(claims: &str) -> Option<Vec<Means>> {
        read(claims).unwrap().classes
    }

    #[test]
    fn an_essential_class_is_one_of_those_that_are_named() {
        let card = Means::Card.acr();
        let passkey = Means::Passkey.acr();
        assert_eq!(
            classes(&format!(r#"{{"id_token":{{"acr":{{"essential":true,"value":"{card}"}}}}}}"#)),
            Some(vec![Means::Card])
        );
        let both = read(&format!(r#"{{"id_token":{{"acr":{{"essential":true,"values":["{passkey}","{card}"]}}}}}}"#)).unwrap();
        assert!(both.takes(Means::Card) && both.takes(Means::Passkey) && !both.takes(Means::Certificate));
        assert_eq!(both.weakest(), Means::Card);
        let unknown = read(r#"{"id_token":{"acr":{"essential":true,"values":["urn:other"]}}}"#).unwrap();
        assert!(!unknown.can_be_met() && !unknown.takes(Means::Passkey));
        let wished = read(&format!(r#"{{"id_token":{{"acr":{{"values":["{passkey}"]}}}}}}"#)).unwrap();
        assert_eq!((wished.classes.clone(), wished.weakest()), (None, Means::Passkey));
    }

    #[test]
    fn what_names_nothing_asks_nothing() {
        for harmless in [
            "{}",
            r#"{"id_token":null}"#,
            r#"{"id_token":{"acr":null}}"#,
            r#"{"id_token":{"acr":{"essential":true}}}"#,
            r#"{"id_token":{"acr":{"values":["urn:other"]}}}"#,
            r#"{"userinfo":{"acr":{"essential":true,"value":"urn:usufruct:acr:passkey"}}}"#,
            r#"{"id_token":{"auth_time":{"essential":true},"name":{"essential":true}}}"#,
            r#"{"other":7}"#,
        ] {
            let read = read(harmless).unwrap();
            assert!(read.classes.is_none() && read.weakest() == Means::Delegate && read.subject.is_none(), "{harmless}");
        }
        assert_eq!(read(r#"{"id_token":{"sub":{"value":"abc"}}}"#).unwrap().subject.as_deref(), Some("abc"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for broken in [
            "{",
            "7",
            "[]",
            r#"{"id_token":7}"#,
            r#"{"userinfo":"name"}"#,
            r#"{"id_token":{"acr":true}}"#,
            r#"{"id_token":{"acr":{"essential":"yes","value":"a"}}}"#,
            r#"{"id_token":{"acr":{"essential":true,"value":7}}}"#,
            r#"{"id_token":{"acr":{"essential":true,"values":"a"}}}"#,
            r#"{"id_token":{"acr":{"essential":true,"value":"a","values":["b"]}}}"#,
            r#"{"id_token":{"sub":{"value":7}}}"#,
        ] {
            assert_eq!(read(broken).err().map(|error| error.code), Some("invalid_request"), "{broken}");
        }
    }
}
