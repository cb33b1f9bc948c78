//! `usufruct card`: printed cards, for residents without a phone.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, stdin};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use qrcodegen::{QrCode, QrCodeEcc};
use zeroize::Zeroizing;

use crate::access::Access;
use crate::data_dir;
use crate::failure::Failure;

/// Make a printed card by which a resident signs in with a PIN, or end the card she lost.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usufruct card issue 4503599627370495 --issuer https://pass.example.org --out card.svg --data-dir pass
  usufruct card revoke 4503599627370495 --data-dir pass")]
pub struct Card {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Issue(Issue),
    Revoke(Revoke),
}

/// Make a card. The resident types the PIN that she chose; it is read from standard input.
///
/// Earlier cards end. For a resident who has a pass in use, two clerks approve first; see `usufruct recover --way card`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct card issue 4503599627370495 --issuer https://pass.example.org --out card.svg --data-dir pass")]
struct Issue {
    /// The file number on the office copy of her first slip.
    #[arg(value_name = "NUMBER")]
    resident: u64,
    /// The request that two clerks approved.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The address that browsers use, to which the square on the card leads.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// Where to write the card, as SVG of the size of a bank card. Print it and delete it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// End the cards of a resident. One clerk is enough: nobody gets in by it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usufruct card revoke 4503599627370495 --data-dir pass")]
struct Revoke {
    /// The file number on the office copy of her first slip.
    #[arg(value_name = "NUMBER")]
    resident: u64,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Card {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Issue(issue) => {
                if issue.out.exists() {
                    return Err(Failure::refused(
                        format!("{} is there already.", issue.out.display()),
                        "Choose another name with --out.",
                    ));
                }
                let pin = read_pin()?;
                let code = Access::open(&issue.data_dir)?.issue_card(issue.resident, &pin, issue.request.as_deref())?;
                data_dir::write(&issue.out, svg(&issue.issuer, &code)?.as_bytes())?;
                println!("The card is in {}. Print it, hand it over, and delete the file.", issue.out.display());
            }
            Verb::Revoke(revoke) => {
                let count = Access::open(&revoke.data_dir)?.revoke_cards(revoke.resident)?;
                println!("Ended: {count}.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One line of standard input. A terminal does not show it.
fn read_pin() -> Result<Zeroizing<String>, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let shown = stdin().is_terminal().then(|| tcgetattr(stdin()).ok()).flatten();
    if let Some(shown) = &shown {
        eprint!("The resident types the PIN, six digits: ");
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &hidden);
    }
    let mut line = Zeroizing::new(String::new());
    let read = stdin().lock().read_line(&mut line);
    if let Some(shown) = &shown {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, shown);
        eprintln!();
    }
    read.map_err(|error| {
        Failure::impossible(format!("The PIN cannot be read: {error}."), "Type it, or give it on standard input.")
    })?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}

/// The card: the square of at least 25 mm on the left, the code in groups of four on the right.
fn svg(issuer: &str, code: &str) -> Result<String, Failure> {
    let address = format!("{}/sign-in/card#{}", issuer.trim_end_matches('/'), code.replace('-', ""));
    let qr = QrCode::encode_text(&address, QrCodeEcc::Quartile)
        .map_err(|_| Failure::refused("The address is too long for a card.", "Give the shortest address with --issuer."))?;
    let cell = SQUARE_MM / f64::from(qr.size());
    let mut path = String::new();
    for y in 0..qr.size() {
        for x in (0..qr.size()).filter(|x| qr.get_module(*x, y)) {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{x},{y}h1v1h-1z");
        }
    }
    let groups: Vec<&str> = code.split('-').collect();
    let mut lines = String::new();
    for (at, pair) in groups.chunks(2).enumerate() {
        let y = 25.0 + 6.5 * at as f64;
        let _ = write!(lines, "<text x=\"46\" y=\"{y}\" font-family=\"monospace\" font-size=\"4.6\">{}</text>", pair.join(" "));
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"85.6mm\" height=\"53.98mm\" viewBox=\"0 0 85.6 53.98\">\
         <rect width=\"85.6\" height=\"53.98\" fill=\"#fff\"/>\
         <g transform=\"translate(6 13) scale({cell})\"><path d=\"{path}\" fill=\"#000\"/></g>\
         <text x=\"6\" y=\"8\" font-family=\"sans-serif\" font-size=\"4.4\" font-weight=\"bold\">市民通 City Pass</text>\
         <text x=\"46\" y=\"16\" font-family=\"sans-serif\" font-size=\"3\">卡片代碼 Code on the card</text>{lines}\
         <text x=\"6\" y=\"51.5\" font-family=\"sans-serif\" font-size=\"2.4\">遺失請至櫃檯停用。 Lost? Any counter ends it.</text></svg>\n"
    ))
}

/// Side of the square; with four modules of quiet zone it stays clear of the edge.
const SQUARE_MM: f64 = 32.0;

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn a_card_shows_the_code_as_it_is_typed_and_no_other_word_of_it() {
        let card = svg("https://pass.example.org/", "ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345").unwrap();
        for pair in ["ABCD EFGH", "JKLM NPQR", "STUV WXYZ", "2345"] {
            assert!(card.contains(&format!(">{pair}</text>")), "{pair}");
        }
        assert!(card.starts_with("<svg") && card.ends_with("</svg>\n") && !card.contains("pass.example.org"));
    }
}
