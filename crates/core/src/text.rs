//! Words for people, always in both languages.

use serde::{Deserialize, Serialize};

/// A text in traditional Chinese and in English. Both are required wherever a text is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    #[serde(rename = "zh-Hant")]
    pub zh_hant: String,
    pub en: String,
}

/// The two languages of the pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    TraditionalChinese,
}

impl Text {
    /// A text from its English and traditional Chinese versions.
    pub fn new(en: &str, zh_hant: &str) -> Self {
        Self { zh_hant: zh_hant.to_owned(), en: en.to_owned() }
    }

    /// The version in `language`.
    pub fn within(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::TraditionalChinese => &self.zh_hant,
        }
    }
}

impl Language {
    /// The BCP 47 tag, as in `<html lang>`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::TraditionalChinese => "zh-Hant",
        }
    }
}
