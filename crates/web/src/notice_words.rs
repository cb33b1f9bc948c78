//! The pictures of a notice and their words, and what a revision changes.

use i18n_embed_fl::fl;
use usufruct_core::amendment::Change;
use usufruct_core::block::Sensitivity;
use usufruct_core::layers::Icon;

use crate::page::Page;

impl Page {
    /// What a picture says.
    pub fn icon(&self, icon: &Icon) -> String {
        match icon {
            Icon::Token => fl!(self.messages, "icon-token"),
            Icon::Predicate => fl!(self.messages, "icon-predicate"),
            Icon::Value => fl!(self.messages, "icon-value"),
            Icon::Special => fl!(self.messages, "icon-special"),
            Icon::Emergency => fl!(self.messages, "icon-emergency"),
            Icon::Delayed => fl!(self.messages, "icon-delayed"),
            Icon::Machine => fl!(self.messages, "icon-machine"),
            Icon::Joined => fl!(self.messages, "icon-joined"),
            Icon::Vendor => fl!(self.messages, "icon-vendor"),
            Icon::Abroad => fl!(self.messages, "icon-abroad"),
            Icon::Business => fl!(self.messages, "icon-business"),
        }
    }

    /// The lines of a picture in a square of 24: a stroke, and no fill.
    pub fn icon_lines(&self, icon: &Icon) -> &'static str {
        match icon {
            Icon::Token => "M8 12a4 4 0 1 1-8 0a4 4 0 0 1 8 0H22V16M17 12V15",
            Icon::Predicate => "M2 12L7 17L14 7M16 8L22 16M22 8L16 16",
            Icon::Value => "M5 2H15L20 7V22H5ZM15 2V7H20M8 12H17M8 16H17",
            Icon::Special => "M9 3H15V9H21V15H15V21H9V15H3V9H9Z",
            Icon::Emergency => "M12 3L22 21H2ZM12 10V15M12 17V19",
            Icon::Delayed => "M3 12a9 9 0 1 1 18 0a9 9 0 0 1-18 0M12 6V12L16 15",
            Icon::Machine => "M4 8H20V20H4ZM12 8V3M8 13V15M16 13V15M9 18H15",
            Icon::Joined => "M2 12a5 5 0 1 1 10 0a5 5 0 0 1-10 0M12 12a5 5 0 1 1 10 0a5 5 0 0 1-10 0",
            Icon::Vendor => "M3 21V9L9 13V9L15 13V3H21V21ZM7 17H9M12 17H14",
            Icon::Abroad => "M2 12a10 10 0 1 1 20 0a10 10 0 0 1-20 0H22M12 2C6 8 6 16 12 22C18 16 18 8 12 2",
            Icon::Business => "M3 8H21V20H3ZM9 8V4H15V8M3 13H21",
        }
    }

    /// What a revision changed.
    pub fn change(&self, change: &Change) -> String {
        match change {
            Change::Basis => fl!(self.messages, "change-basis"),
            Change::Block => fl!(self.messages, "change-block"),
            Change::Conversion => fl!(self.messages, "change-conversion"),
            Change::Overseer => fl!(self.messages, "change-overseer"),
            Change::Period => fl!(self.messages, "change-period"),
            Change::Place => fl!(self.messages, "change-place"),
            Change::Processor => fl!(self.messages, "change-processor"),
            Change::Purpose => fl!(self.messages, "change-purpose"),
            Change::Recipient => fl!(self.messages, "change-recipient"),
            Change::Safeguard => fl!(self.messages, "change-safeguard"),
            Change::Subjects => fl!(self.messages, "change-subjects"),
            Change::Use => fl!(self.messages, "change-use"),
        }
    }

    /// How much protection the law gives a kind of data; empty where it is ordinary.
    pub fn sensitivity(&self, sensitivity: &Option<Sensitivity>) -> String {
        match sensitivity {
            None | Some(Sensitivity::Ordinary) => String::new(),
            Some(Sensitivity::Sensitive) => fl!(self.messages, "sensitivity-sensitive"),
            Some(Sensitivity::Special) => fl!(self.messages, "sensitivity-special"),
        }
    }
}
