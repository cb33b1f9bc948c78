//! Wording: every word of a notice in every language, the hash over all of it, and how easily it reads.
//!
//! It is made of the revision of the mandate and of the notice that explains it, neither of which ever changes, so it is the same for everybody at
//! all times. Names of bodies, of data and of vendors' vendors stand in it by their ids: what the register calls them can change.

use serde::Serialize;

use crate::id::MandateId;
use crate::mandate::{AutomatedDecision, Mandate, Necessity};
use crate::notice::Notice;
use crate::{Digest, Text, hash, jcs};

/// The full text of one notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wording {
    pub mandate: MandateId,
    /// What people wrote, in the order in which it is read.
    pub passages: Vec<Passage>,
    /// What reads the same in every language: ids, days, lengths, countries.
    pub facts: Vec<Fact>,
}

/// Something written in every language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// Where it stands, as `blocks[blk_name].reason`.
    pub place: String,
    pub text: Text,
}

/// Something that needs no translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub place: String,
    pub value: String,
}

/// What differs between two notices at one place. Of a fact both languages are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub place: String,
    pub before: Option<Text>,
    pub after: Option<Text>,
}

/// How easily a notice reads.
///
/// English by the LIX of Björnsson (1968): words for each sentence, plus the hundredth part of words with more than six letters. Chinese, which has
/// no spaces, by the characters of a sentence. Both are rounded to whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReadingLevel {
    pub lix_en: u64,
    pub characters_per_sentence_zh_hant: u64,
}

/// What a LIX means, in the five steps of its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ease {
    /// Up to 30, as books for children.
    VeryEasy,
    /// Up to 40, as novels.
    Easy,
    /// Up to 50, as newspapers.
    Medium,
    /// Up to 60, as texts of authorities.
    Hard,
    /// Above that, as laws and theses.
    VeryHard,
}

impl Wording {
    /// All that a revision of a mandate and its notice say.
    pub fn of(mandate: &Mandate, notice: &Notice) -> Self {
        let mut passages = Vec::new();
        let mut say = |place: String, text: &Text| passages.push(Passage { place, text: text.clone() });
        say("title".into(), &mandate.title);
        say("line".into(), &notice.line);
        say("short".into(), &notice.short);
        say("purpose".into(), &mandate.purpose.sentence);
        say("legal_basis.instrument".into(), &mandate.legal_basis.instrument);
        if let Some(quote) = &mandate.legal_basis.quote {
            say("legal_basis.quote".into(), quote);
        }
        if let Some(order) = &mandate.legal_basis.order {
            say("legal_basis.order.by".into(), &order.by);
            say("legal_basis.order.why".into(), &order.why);
        }
        if let Some(exception) = &mandate.exception {
            say("exception.written_reason".into(), &exception.written_reason);
        }
        say("subjects".into(), &mandate.subjects);
        for asked in &mandate.blocks {
            say(format!("blocks[{}].reason", asked.block), &asked.reason);
        }
        for recipient in &mandate.recipients {
            say(format!("recipients[{}].why", recipient.agency), &recipient.why);
        }
        for conversion in &mandate.conversions {
            say(format!("conversions[{}, {}].why", conversion.from, conversion.to), &conversion.why);
        }
        for transfer in &mandate.transfers {
            say(format!("transfers[{}].safeguard", transfer.country), &transfer.safeguard);
        }
        say("retention.from_event".into(), &mandate.retention.from_event);
        say("manner".into(), &notice.manner);
        say("rights".into(), &notice.rights);
        say("effect_of_refusal".into(), &notice.effect_of_refusal);
        Self { mandate: notice.mandate.clone(), passages, facts: facts(mandate) }
    }

    /// SHA-256 over the canonical form (RFC 8785) of all of it, in every language.
    pub fn hash(&self) -> Digest {
        // Every member is a text or a list, and those have a canonical form.
        hash::sha256(&jcs::encode(self).expect("texts have a canonical form"))
    }

    /// How easily it reads: of what people wrote, not of names and titles.
    pub fn reading_level(&self) -> ReadingLevel {
        let is_prose =
            |passage: &&Passage| !["title", "legal_basis.instrument", "legal_basis.order.by"].contains(&passage.place.as_str());
        let prose = || self.passages.iter().filter(is_prose).map(|passage| &passage.text);
        ReadingLevel {
            lix_en: lix(prose().map(|text| text.en.as_str())),
            characters_per_sentence_zh_hant: characters(prose().map(|text| text.zh_hant.as_str())),
        }
    }

    /// What this one says otherwise than the one before, in its own order and then what it no longer says.
    pub fn differences(&self, before: &Self) -> Vec<Difference> {
        let (old, new) = (before.places(), self.places());
        let find = |all: &[(String, Text)], place: &str| all.iter().find(|(at, _)| at == place).map(|(_, text)| text.clone());
        let changed = new.iter().filter_map(|(place, text)| {
            let was = find(&old, place);
            let differs = was.as_ref() != Some(text);
            differs.then(|| Difference { place: place.clone(), before: was, after: Some(text.clone()) })
        });
        let gone = old.iter().filter(|(place, _)| find(&new, place).is_none());
        let gone = gone.map(|(place, text)| Difference { place: place.clone(), before: Some(text.clone()), after: None });
        changed.chain(gone).collect()
    }

    fn places(&self) -> Vec<(String, Text)> {
        let passages = self.passages.iter().map(|passage| (passage.place.clone(), passage.text.clone()));
        let facts = self.facts.iter().map(|fact| (fact.place.clone(), Text::new(&fact.value, &fact.value)));
        passages.chain(facts).collect()
    }
}

impl ReadingLevel {
    /// The step of its LIX.
    pub fn ease(self) -> Ease {
        match self.lix_en {
            ..=30 => Ease::VeryEasy,
            31..=40 => Ease::Easy,
            41..=50 => Ease::Medium,
            51..=60 => Ease::Hard,
            _ => Ease::VeryHard,
        }
    }
}

fn facts(mandate: &Mandate) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut state = |place: String, value: String| facts.push(Fact { place, value });
    state("controller".into(), mandate.controller.to_string());
    state("oversight_body".into(), mandate.oversight_body.to_string());
    state("legal_basis.article".into(), mandate.legal_basis.article.clone());
    state("legal_basis.url".into(), mandate.legal_basis.url.clone());
    if let Some(order) = &mandate.legal_basis.order {
        state("legal_basis.order".into(), format!("{}, {}", order.reference, order.at));
    }
    if let Some(exception) = &mandate.exception {
        state("exception.code".into(), exception.code.clone());
    }
    for asked in &mandate.blocks {
        let necessity = if asked.necessity == Necessity::Required { "required" } else { "optional" };
        state(format!("blocks[{}]", asked.block), format!("{}, {necessity}", asked.form.code()));
    }
    for recipient in &mandate.recipients {
        let contract = recipient.contract.as_ref().map(|contract| contract.to_string()).unwrap_or_default();
        state(format!("recipients[{}].contract", recipient.agency), contract);
    }
    state("locations".into(), mandate.locations.join(", "));
    if let Some(range) = &mandate.data_range {
        let time = |time: &Option<crate::Time>| time.map(|time| time.to_string()).unwrap_or_default();
        let range = [range.back.clone().unwrap_or_default(), time(&range.from), time(&range.until)];
        state("data_range".into(), range.join(", "));
    }
    state("starts_at".into(), mandate.starts_at.to_string());
    state("sunset_at".into(), mandate.sunset_at.to_string());
    state("retention.duration".into(), mandate.retention.duration.clone());
    let automated = match mandate.automated_decision {
        AutomatedDecision::None => "none",
        AutomatedDecision::Sole => "sole",
        AutomatedDecision::Support => "support",
    };
    state("automated_decision".into(), automated.into());
    if let Some(algorithm) = &mandate.algorithm_url {
        state("algorithm_url".into(), algorithm.clone());
    }
    if let Some(third) = mandate.third_party {
        state("third_party.max_days".into(), third.max_days.to_string());
    }
    if let Some(delay) = mandate.visibility.delay() {
        state("visibility.delayed".into(), format!("{}, {}", delay.max_days, delay.authority));
    }
    facts
}

/// LIX of several texts as of one. 0 without a word.
fn lix<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let (mut words, mut long, mut sentences) = (0_u64, 0_u64, 0_u64);
    for text in texts {
        // A text that ends without a stop is a sentence all the same.
        let mut is_open = false;
        for word in text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)) {
            words += 1;
            long += u64::from(word.chars().filter(|letter| letter.is_alphabetic()).count() > 6);
            // A stop within a word, as in `8.30`, ends nothing.
            is_open = !word.trim_end_matches([')', '”', '"', '’']).ends_with(['.', '!', '?', ';', ':']);
            sentences += u64::from(!is_open);
        }
        sentences += u64::from(is_open);
    }
    // Rounded once, at the end.
    let (above, below) = (words * words + 100 * long * sentences, sentences * words);
    (2 * above + below).checked_div(2 * below).unwrap_or(0)
}

/// Characters for each sentence: letters, digits and ideographs, without marks and spaces. 0 without any.
fn characters<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let (mut all, mut sentences) = (0_u64, 0_u64);
    for text in texts {
        for sentence in text.split(['。', '！', '？', '；']) {
            let length = sentence.chars().filter(|letter| letter.is_alphanumeric()).count() as u64;
            all += length;
            sentences += u64::from(length > 0);
        }
    }
    (2 * all + sentences).checked_div(2 * sentences).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lix_is_words_for_each_sentence_and_long_words_of_a_hundred() {
        // 10 words in 2 sentences, 3 of them with more than six letters: 10/2 + 100*3/10.
        assert_eq!(lix(["The library prints your name. It keeps nothing afterwards here."].into_iter()), 35);
        // 8.30 is no end of a sentence; without a stop at its end a text is one all the same.
        assert_eq!(lix(["We open at 8.30 and close"].into_iter()), 6);
        assert_eq!(lix(["One two.", "Three four"].into_iter()), 2);
        assert_eq!(lix(["", "—"].into_iter()), 0);
        // 3 words in 2 sentences are 1.5, which is 2 when rounded.
        assert_eq!(lix(["One two. Three."].into_iter()), 2);
    }

    #[test]
    fn chinese_is_counted_by_the_characters_of_a_sentence() {
        // 9 and 6 without marks, 7.5 for each.
        assert_eq!(characters(["圖書館印出您的姓，名。借閱後不保存！"].into_iter()), 8);
        assert_eq!(characters(["甲乙丙", "丁"].into_iter()), 2);
        assert_eq!(characters(["。；", ""].into_iter()), 0);
        assert_eq!(characters(["至多10,000人。"].into_iter()), 8);
    }

    #[test]
    fn the_steps_are_those_of_its_author() {
        let ease = |lix_en| ReadingLevel { lix_en, characters_per_sentence_zh_hant: 0 }.ease();
        let steps = [30, 31, 40, 41, 50, 51, 60, 61].map(ease);
        use Ease::*;
        assert_eq!(steps, [VeryEasy, Easy, Easy, Medium, Medium, Hard, Hard, VeryHard]);
    }
}
