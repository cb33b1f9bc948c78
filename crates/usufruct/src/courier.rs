//! Letters that leave the house: files in a folder, which the mail system of the city takes from there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use usufruct_app::{Courier, Error, Mail};

use crate::data_dir;

/// The table `[mail]` of the set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailTable {
    /// Where letters are put, each a file `NAME.eml`; whoever takes one deletes it.
    pub folder: PathBuf,
    /// From whom they are.
    pub from: String,
}

/// Puts letters into the folder.
pub struct FolderCourier {
    table: MailTable,
    /// The address of the pass, the same in every letter.
    issuer: String,
}

impl FolderCourier {
    pub fn new(table: MailTable, issuer: &str) -> Self {
        Self { table, issuer: issuer.to_owned() }
    }

    /// The letter as RFC 5322 has it. It says to everybody the same, but for whom it is for.
    fn letter(&self, mail: &Mail) -> String {
        let host = self.issuer.split_once("://").map_or(self.issuer.as_str(), |(_, host)| host);
        format!(
            "From: {}\r\nTo: {}\r\nMessage-ID: <{}@{host}>\r\nSubject: {SUBJECT}\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             {CHINESE}\r\n{}\r\n\r\n{ENGLISH}\r\n{}\r\n",
            self.table.from, mail.to, mail.name, self.issuer, self.issuer
        )
    }
}

impl Courier for FolderCourier {
    fn hand_over(&self, mail: &Mail) -> Result<(), Error> {
        let path = self.table.folder.join(format!("{}.eml", mail.name));
        data_dir::write(&path, self.letter(mail).as_bytes()).map_err(|failure| Error::House { what: failure.to_string() })
    }
}

/// "每週訊息 / Your weekly message", as RFC 2047 has it.
const SUBJECT: &str = "=?utf-8?B?5q+P6YCx6KiK5oGvIC8gWW91ciB3ZWVrbHkgbWVzc2FnZQ==?=";
const CHINESE: &str = "您的每週訊息已備妥。請自行開啟平台並登入後閱讀；本信不含內容，也不會請您點選連結或提供資料。";
const ENGLISH: &str = "Your weekly message is there. Open the pass yourself and sign in to read it. This letter says nothing of it, and never asks you for anything.";

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_letter_is_the_same_to_everybody_and_written_once_for_each_name() {
        let dir = tempfile::tempdir().unwrap();
        let table = MailTable { folder: dir.path().to_owned(), from: "pass@example.org".into() };
        let courier = FolderCourier::new(table, "https://pass.example.org");
        let mail = |name: &str, to: &str| Mail { name: name.into(), to: to.into() };
        courier.hand_over(&mail("one", "a@example.org")).unwrap();
        courier.hand_over(&mail("one", "a@example.org")).unwrap();
        courier.hand_over(&mail("two", "b@example.org")).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let (one, two) = (read("one.eml"), read("two.eml"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(one.replace("a@example.org", "b@example.org").replace("<one@", "<two@"), two);
        let (head, body) = one.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nTo: a@example.org\r\n") && head.lines().all(|line| line.is_ascii()), "{head}");
        assert!(body.contains("https://pass.example.org\r\n") && !body.contains('?') && !body.contains("example.org/"), "{body}");
        let word = SUBJECT.trim_start_matches("=?utf-8?B?").trim_end_matches("?=");
        assert_eq!(String::from_utf8(STANDARD.decode(word).unwrap()).unwrap(), "每週訊息 / Your weekly message");
    }
}
