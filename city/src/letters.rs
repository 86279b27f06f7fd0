//! `city dead-letters`: what a service could not handle, for a person to decide.

use crate::clock;
use crate::store::{self, SqlTx};
use city_domain::bus::{DeadLetter, Decision, NotDecided, decide};
use city_domain::limits;
use clap::{Args, Subcommand};
use conch::event::json::Json;
use conch::event::{UnixMillis, time};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Letters {
    /// The open ones, oldest first, with what went wrong.
    #[command(after_help = "\
Examples:
  city dead-letters list --data /var/lib/city
  city dead-letters list --all --json | jq .code")]
    List {
        /// Also those that were decided about, with who decided and why.
        #[arg(long)]
        all: bool,
        /// Only failures of one kind.
        #[arg(long)]
        fingerprint: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// One of them as JSON, with the event; personal data is masked.
    #[command(after_help = "\
Example:
  city dead-letters show 3 --data /var/lib/city")]
    Show {
        /// Its number.
        number: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Send it again to the service that could not handle it, or all failures of one kind, one after another.
    #[command(after_help = "\
Examples:
  city dead-letters redrive 3 --reason \"the rules file names the kind now\" --data /var/lib/city
  city dead-letters redrive 3 --payload mended.json --reason \"the place was missing\"
  city dead-letters redrive --fingerprint 0f3a9c --reason \"the acquirer is back\"")]
    Redrive {
        /// Its number.
        #[arg(required_unless_present = "fingerprint")]
        number: Option<u64>,
        /// All open failures of this kind.
        #[arg(long, conflicts_with = "number")]
        fingerprint: Option<String>,
        /// A file with the JSON payload that takes the place of the old one; everything else of the event stays.
        #[arg(long, conflicts_with = "fingerprint")]
        payload: Option<PathBuf>,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        place: Place,
    },
    /// Give it up for good. It stays on record with the reason.
    #[command(after_help = "\
Example:
  city dead-letters discard 3 --reason \"sent by a test\" --data /var/lib/city")]
    Discard {
        /// Its number.
        number: u64,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub(crate) struct Place {
    /// The city's data directory.
    #[arg(long, default_value = "data")]
    data: PathBuf,
}

impl Place {
    /// The city's file, to read.
    pub(crate) fn read(&self) -> Result<Connection, String> {
        store::open_to_read(&self.data).map_err(|problem| problem.to_string())
    }

    /// The city's file, to write. A directory without a city does not become one.
    pub(crate) fn write(&self) -> Result<Connection, String> {
        drop(self.read()?);
        store::open(&self.data).map_err(|problem| problem.to_string())
    }
}

#[derive(Args)]
pub(crate) struct Word {
    /// Why, in 1 to 200 characters: it is kept for the audit.
    #[arg(long)]
    pub(crate) reason: String,
    /// Who decides; by default the user of this shell.
    #[arg(long, env = "USER", default_value = "operator")]
    pub(crate) by: String,
}

impl Letters {
    pub(crate) fn run(self) -> Result<(), String> {
        match self {
            Self::List { all, fingerprint, limit, json, place } => {
                let connection = place.read()?;
                let letters =
                    store::dead_letters(&connection, fingerprint.as_deref(), all, limit).map_err(sql)?;
                if letters.is_empty() && !json {
                    println!("no dead letters");
                }
                for letter in &letters {
                    println!("{}", if json { described(letter).to_string() } else { line(letter) });
                }
                Ok(())
            }
            Self::Show { number, place } => {
                let connection = place.read()?;
                let letter = store::dead_letter(&connection, number).map_err(sql)?;
                let letter = letter.ok_or_else(|| missing(number))?;
                println!(
                    "{}",
                    serde_json::to_string_pretty(&described(&letter)).map_err(|error| error.to_string())?
                );
                Ok(())
            }
            Self::Redrive { number: Some(number), payload, word, place, .. } => {
                let payload = payload.map(|path| {
                    let text = std::fs::read_to_string(&path)
                        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                    Json::parse_payload(&text).map_err(|problem| {
                        format!("{} is no JSON at byte {}: {}", path.display(), problem.at, problem.what)
                    })
                });
                let decision = Decision::Redrive { payload: payload.transpose()?, due: clock::now() };
                take(&place, &word, &[(number, decision)])?;
                println!("{number} is sent again");
                Ok(())
            }
            Self::Redrive { fingerprint, word, place, .. } => {
                let letters = store::dead_letters(&place.read()?, fingerprint.as_deref(), false, u32::MAX)
                    .map_err(sql)?;
                let now = clock::now().0;
                let again = |(place, letter): (usize, &DeadLetter)| {
                    let due = UnixMillis(now + place as u64 * limits::REDRIVE_EVERY_MS);
                    (letter.number, Decision::Redrive { payload: None, due })
                };
                let decisions: Vec<_> = letters.iter().enumerate().map(again).collect();
                take(&place, &word, &decisions)?;
                let seconds = letters.len() as u64 * limits::REDRIVE_EVERY_MS / 1_000;
                println!("{} are sent again, within {seconds} s", letters.len());
                Ok(())
            }
            Self::Discard { number, word, place } => {
                take(&place, &word, &[(number, Decision::Discard)])?;
                println!("{number} is given up");
                Ok(())
            }
        }
    }
}

/// What a person reads when a question to the file failed.
pub(crate) fn sql(error: rusqlite::Error) -> String {
    format!("the database cannot be read: {error}")
}

fn missing(number: u64) -> String {
    format!("there is no dead letter {number}: see `city dead-letters list --all`")
}

/// All of them, or none.
fn take(place: &Place, word: &Word, decisions: &[(u64, Decision)]) -> Result<(), String> {
    let failed = |error: rusqlite::Error| format!("nothing was changed: {error}");
    let mut connection = place.write()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    for (number, decision) in decisions {
        let taken =
            decide(&mut SqlTx(&transaction), *number, decision, (&word.by, &word.reason), clock::now());
        match taken.map_err(|fault| format!("nothing was changed: {}", fault.0))? {
            Ok(_) => {}
            Err(NotDecided::Missing) => return Err(missing(*number)),
            Err(NotDecided::Reason) => {
                return Err(format!("a reason has 1 to {} characters", limits::REASON_CHARS_MAX));
            }
            Err(NotDecided::TooLarge) => {
                return Err(format!(
                    "with this payload the event is larger than {} bytes",
                    limits::EVENT_BYTES_MAX
                ));
            }
            Err(NotDecided::Gone) => {
                return Err(format!("the event of {number} is no longer kept: discard it"));
            }
            Err(NotDecided::Closed(closing)) => {
                let what = if closing.redriven { "sent again" } else { "given up" };
                return Err(format!(
                    "{number} was {what} by {} at {}: {}",
                    closing.by,
                    time::to_rfc3339(closing.at),
                    closing.reason
                ));
            }
        }
    }
    transaction.commit().map_err(failed)
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { number, consumer, message, tries, code, detail, fingerprint, at, .. } = letter;
    let end = letter.closed.as_ref().map_or_else(String::new, |closing| {
        let what = if closing.redriven { "sent again" } else { "given up" };
        format!("\n      {what} by {} at {}: {}", closing.by, time::to_rfc3339(closing.at), closing.reason)
    });
    let tries = if *tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
    format!(
        "{number:>5} {} {consumer}: {}.{} {} - {code}: {detail} ({tries}, kind {fingerprint}){end}",
        time::to_rfc3339(*at),
        message.topic,
        message.kind.as_str(),
        message.key,
    )
}

pub(crate) fn described(letter: &DeadLetter) -> Value {
    let message = &letter.message;
    json!({
        "number": letter.number,
        "consumer": letter.consumer,
        "at": letter.at.0,
        "code": letter.code,
        "detail": letter.detail,
        "tries": letter.tries,
        "fingerprint": letter.fingerprint,
        "blocksKey": letter.blocks,
        "partition": letter.partition,
        "offset": letter.offset,
        "event": serde_json::from_str::<Value>(&message.body).unwrap_or(Value::Null),
        "decision": letter.closed.as_ref().map(|closing| json!({
            "redriven": closing.redriven,
            "at": closing.at.0,
            "by": closing.by,
            "reason": closing.reason,
        })),
    })
}
