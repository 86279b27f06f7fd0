//! `city tickets`: what the box office does. Tickets are issued and taken back beside a running city.

use crate::clock;
use crate::http::{described, described_ticket};
use crate::letters::Place;
use crate::secret::random;
use crate::sheet::{self, Wish};
use crate::store::{self, Wanted};
use crate::ticket_code::{self, TicketCode};
use city_domain::{Ticket, digest, limits};
use clap::Subcommand;
use conch::event::{Key, UnixMillis, time};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Tickets {
    /// Issue tickets and print a signed code a line, to be shown as a QR code (alphanumeric mode, version 6 at level M).
    /// The code is the ticket: keep it from others.
    #[command(after_help = "\
Examples:
  city tickets issue --count 200 --class adult
  city tickets issue --class crew --gate back --gate n1
  city tickets issue --count 50 --class night --from 2026-11-28T18:00:00+08:00 --until 2026-11-29T02:00:00+08:00
A scanner verifies codes with `city tickets key`. Gates, revocation and earlier use stand with the city only.")]
    Issue {
        /// How many.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::TICKETS_ISSUE_MAX)))]
        count: u32,
        /// What they are good for, in 1 to 10 of a-z, 0-9 and -.
        #[arg(long, default_value = "standard", value_parser = class)]
        class: String,
        /// Not before then, for example 2026-11-28T18:00:00+08:00; cut to its minute.
        #[arg(long, value_parser = moment)]
        from: Option<UnixMillis>,
        /// Not from then on.
        #[arg(long, value_parser = moment)]
        until: Option<UnixMillis>,
        /// Only at this gate; may be given many times. Without it, at every gate.
        #[arg(long = "gate", value_parser = gate)]
        gates: Vec<String>,
        /// As JSON, one a line, with the ticket's id.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Write a sheet of tickets to print: an A4 page of QR codes in one HTML file. It holds the oldest tickets of the class
    /// that were not taken back, and issues what is missing, so that the same command makes the same sheet.
    #[command(after_help = "\
Examples:
  city tickets sheet --count 48 --class adult --market market.json --to tickets.html
  city tickets sheet --samples --to data/tickets.html     with odd ones, to try a gate: of the old ticketing, taken
                                                          back, printed twice")]
    Sheet {
        /// How many.
        #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::TICKETS_SHEET_MAX)))]
        count: u32,
        /// What they are good for, in 1 to 10 of a-z, 0-9 and -.
        #[arg(long, default_value = "standard", value_parser = class)]
        class: String,
        /// The market's file, for its name.
        #[arg(long)]
        market: Option<PathBuf>,
        /// Begin with tickets that show what a gate says to odd ones.
        #[arg(long)]
        samples: bool,
        /// The file to write. Whoever reads it has the tickets.
        #[arg(long)]
        to: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Print the codes of issued tickets again, one a line.
    #[command(after_help = "\
Example:
  city tickets print t-2GG4G9HMWY6H1K8R")]
    Print {
        /// Their ids, for example t-2GG4G9HMWY6H1K8R.
        #[arg(required = true)]
        tickets: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Take tickets back. From now on no gate that asks the city admits them; who was let in before stays admitted.
    #[command(after_help = "\
Example:
  city tickets revoke t-2GG4G9HMWY6H1K8R --reason \"lost\"")]
    Revoke {
        /// Their ids, for example t-2GG4G9HMWY6H1K8R.
        #[arg(required = true)]
        tickets: Vec<String>,
        /// Why, in 1 to 200 characters.
        #[arg(long)]
        reason: String,
        /// Who decides; by default the user of this shell.
        #[arg(long, env = "USER", default_value = "operator")]
        by: String,
        #[command(flatten)]
        place: Place,
    },
    /// How a ticket stands, as JSON: issued or not, its admission, and who else was let in with it.
    #[command(after_help = "\
Example:
  city tickets show t-2GG4G9HMWY6H1K8R")]
    Show {
        /// Its id.
        ticket: String,
        #[command(flatten)]
        place: Place,
    },
    /// Whether a code is one of ours, and how its ticket stands.
    #[command(after_help = "\
Example:
  city tickets check 0123456789ABCDEF")]
    Check {
        /// The code, as a scanner reads it.
        code: String,
        #[command(flatten)]
        place: Place,
    },
    /// Issued tickets, the oldest first.
    #[command(after_help = "\
Examples:
  city tickets list --data /var/lib/city
  city tickets list --twice")]
    List {
        /// Only of this class.
        #[arg(long)]
        class: Option<String>,
        /// Only those that were taken back.
        #[arg(long)]
        revoked: bool,
        /// Instead, tickets that let more than one in, the latest first, with the digest that alerts name them by.
        #[arg(long, conflicts_with_all = ["class", "revoked"])]
        twice: bool,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// The public keys with which a scanner verifies codes: number and 32 bytes in hexadecimal, one a line. The secret
    /// ones stay in the data directory, and in its backups.
    #[command(after_help = "\
Example:
  city tickets key --data /var/lib/city")]
    Key {
        #[command(flatten)]
        place: Place,
    },
}

fn class(text: &str) -> Result<String, &'static str> {
    if ticket_code::is_class(text) {
        Ok(text.to_owned())
    } else {
        Err("a class is 1 to 10 of a-z, 0-9 and -")
    }
}

fn gate(text: &str) -> Result<String, &'static str> {
    let fits = (1..=limits::GATE_CHARS_MAX).contains(&text.chars().count());
    if fits { Ok(text.to_owned()) } else { Err("a gate is 1 to 64 characters") }
}

fn moment(text: &str) -> Result<UnixMillis, &'static str> {
    let at = time::from_rfc3339(text).ok_or("a time is written as 2026-11-28T18:00:00+08:00")?;
    ticket_code::minute(at).ok_or("a ticket's time lies between 2025 and 2056")
}

impl Tickets {
    pub(crate) fn run(self) -> Result<(), String> {
        match self {
            Self::Issue { count, class, from, until, gates, json, place } => {
                if from.zip(until).is_some_and(|(from, until)| from >= until) {
                    return Err("a ticket ends after it begins: --until is later than --from".to_owned());
                }
                let valid = Ticket { valid_from: from, valid_until: until, gates, ..plain(class)? };
                let issued = issue(&place, &valid, count)?;
                let lines =
                    issued.iter().map(
                        |(ticket, code)| {
                            if json { of_code(ticket, code).to_string() } else { code.clone() }
                        },
                    );
                print(lines)
            }
            Self::Sheet { count, class, market, samples, to, place } => {
                let held = sheet::write(&place, &Wish { count, class, market, samples, to: to.clone() })?;
                print(std::iter::once(format!("{} holds {held} tickets", to.display())))
            }
            Self::Print { tickets, place } => again(&place, &tickets),
            Self::Revoke { tickets, reason, by, place } => revoke(&place, &tickets, (&by, &reason)),
            Self::Show { ticket, place } => show(&place, &ticket),
            Self::Check { code, place } => check(&place, &code),
            Self::List { twice: true, limit, json, place, .. } => {
                let found = store::used_twice(&place.read()?, limit).map_err(sql)?;
                print(found.iter().map(|(ticket, times, last)| twice(ticket, *times, *last, json)))
            }
            Self::List { class, revoked, limit, json, place, .. } => {
                let wanted = Wanted { class, revoked, limit };
                let found = store::tickets(&place.read()?, &wanted).map_err(sql)?;
                print(found.iter().map(|ticket| if json { listed(ticket).to_string() } else { line(ticket) }))
            }
            Self::Key { place } => {
                let mut connection = place.write()?;
                key(&mut connection)?;
                let keys = store::ticket_keys(&connection).map_err(sql)?;
                let hex =
                    |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                print(
                    keys.iter()
                        .map(|(number, secret)| format!("{number} {}", hex(ticket_code::public(secret)))),
                )
            }
        }
    }
}

/// A ticket of this class that is good at any time and gate. Its id is drawn later, one by one.
pub(crate) fn plain(class: String) -> Result<Ticket, String> {
    let key = Key::parse("t").map_err(|_| "a ticket has no name".to_owned())?;
    let (valid_from, valid_until, gates) = (None, None, Vec::new());
    Ok(Ticket { key, class, valid_from, valid_until, gates, issued_at: clock::now(), revoked: None })
}

pub(crate) fn sql(error: rusqlite::Error) -> String {
    format!("the database cannot be used: {error}")
}

/// Whoever reads the lines may have seen enough.
fn print(lines: impl Iterator<Item = String>) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The key that signs, made when there is none.
pub(crate) fn key(connection: &mut Connection) -> Result<(u8, [u8; 32]), String> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    let key = match store::signing_key(&transaction).map_err(sql)? {
        Some(key) => key,
        None => {
            let secret = random::<32>().map_err(dry)?;
            (store::put_signing_key(&transaction, &secret, clock::now()).map_err(sql)?, secret)
        }
    };
    transaction.commit().map_err(sql)?;
    Ok(key)
}

fn dry(error: std::io::Error) -> String {
    format!("the random source failed: {error}")
}

/// All of them, or none. They are signed first, so that the city does not wait.
pub(crate) fn issue(place: &Place, like: &Ticket, count: u32) -> Result<Vec<(Ticket, String)>, String> {
    let mut connection = place.write()?;
    let (number_of_key, secret) = key(&mut connection)?;
    let mut issued = Vec::new();
    while issued.len() < count as usize {
        let number = random().map_err(dry)?;
        let Some(key) = ticket_code::id_of(&number) else { continue };
        let ticket = Ticket { key, ..like.clone() };
        let code = code_of(&ticket, number, number_of_key).sign(&secret);
        issued.push((ticket, code));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    for (ticket, _) in &issued {
        if !store::put_ticket(&transaction, ticket).map_err(sql)? {
            return Err(
                "a number was drawn twice, nothing was issued: the random source is broken".to_owned()
            );
        }
    }
    transaction.commit().map_err(sql)?;
    Ok(issued)
}

pub(crate) fn code_of(ticket: &Ticket, number: ticket_code::Number, key: u8) -> TicketCode {
    let Ticket { valid_from, valid_until, class, .. } = ticket.clone();
    TicketCode { key, number, valid_from, valid_until, class }
}

/// A printer fails. The same ticket has the same code, as long as the key is the same.
fn again(place: &Place, tickets: &[String]) -> Result<(), String> {
    let connection = place.read()?;
    let (key, secret) = store::signing_key(&connection).map_err(sql)?.ok_or("no ticket was issued yet")?;
    let mut codes = Vec::new();
    for text in tickets {
        let ticket = Key::parse(text).map_err(|_| missing(text))?;
        let number = ticket_code::number_in(&ticket).ok_or_else(|| missing(text))?;
        let view = store::ticket(&connection, &ticket).map_err(sql)?;
        let issued = view.and_then(|view| view.issued).ok_or_else(|| missing(text))?;
        if let Some((_, reason)) = &issued.revoked {
            return Err(format!("{text} was taken back: {reason}"));
        }
        codes.push(code_of(&issued, number, key).sign(&secret));
    }
    print(codes.into_iter())
}

/// All of them, or none.
fn revoke(place: &Place, tickets: &[String], (by, reason): (&str, &str)) -> Result<(), String> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > limits::REASON_CHARS_MAX {
        return Err(format!("a reason has 1 to {} characters", limits::REASON_CHARS_MAX));
    }
    print(take_back(&mut place.write()?, tickets, (by, reason))?.into_iter())
}

/// Takes them back and says of each what that means.
pub(crate) fn take_back(
    connection: &mut Connection,
    tickets: &[String],
    (by, reason): (&str, &str),
) -> Result<Vec<String>, String> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    let mut lines = Vec::new();
    for text in tickets {
        let key = Key::parse(text).map_err(|_| missing(text))?;
        let view = store::ticket(&transaction, &key).map_err(sql)?.filter(|view| view.issued.is_some());
        let view = view.ok_or_else(|| missing(text))?;
        if !store::revoke_ticket(&transaction, &key, (by, reason), clock::now()).map_err(sql)? {
            return Err(format!(
                "{text} was taken back before: see `city tickets show {text}`. Nothing was changed"
            ));
        }
        let inside = view.first.filter(|first| first.result == city_domain::ScanResult::Admitted);
        lines.push(match inside {
            None => format!("{text} is taken back"),
            Some(first) => format!(
                "{text} is taken back, but it was admitted at {} at {} and stays so",
                first.gate,
                time::to_rfc3339(first.at)
            ),
        });
    }
    transaction.commit().map_err(sql)?;
    Ok(lines)
}

pub(crate) fn missing(ticket: &str) -> String {
    format!("the city issued no ticket {ticket}: see `city tickets list`")
}

fn show(place: &Place, ticket: &str) -> Result<(), String> {
    let key = Key::parse(ticket).ok();
    let connection = place.read()?;
    let view = match &key {
        Some(key) => store::ticket(&connection, key).map_err(sql)?,
        None => None,
    };
    let Some((key, view)) = key.zip(view) else {
        return Err(format!("{ticket} was neither issued nor scanned here"));
    };
    pretty(&described(&key, &view))
}

fn check(place: &Place, code: &str) -> Result<(), String> {
    let connection = place.read()?;
    let keys = store::ticket_keys(&connection).map_err(sql)?;
    let public =
        |number| keys.iter().find(|(own, _)| *own == number).map(|(_, secret)| ticket_code::public(secret));
    let code = TicketCode::verify(code, public).map_err(|problem| problem.to_string())?;
    let key = ticket_code::id_of(&code.number).ok_or("this code names no ticket")?;
    match store::ticket(&connection, &key).map_err(sql)? {
        Some(view) => pretty(&described(&key, &view)),
        None => Err(format!(
            "{key} is signed by this city and yet unknown to it: is this an older copy of its books?"
        )),
    }
}

fn pretty(value: &Value) -> Result<(), String> {
    print(std::iter::once(serde_json::to_string_pretty(value).map_err(|error| error.to_string())?))
}

fn listed(ticket: &Ticket) -> Value {
    let mut value = described_ticket(ticket);
    if let Some(members) = value.as_object_mut() {
        members.insert("ticket".to_owned(), json!(ticket.key.as_str()));
    }
    value
}

fn of_code(ticket: &Ticket, code: &str) -> Value {
    let mut value = listed(ticket);
    if let Some(members) = value.as_object_mut() {
        members.insert("code".to_owned(), json!(code));
    }
    value
}

fn line(ticket: &Ticket) -> String {
    let mut line = format!("{} {}", ticket.key, ticket.class);
    for (word, at) in [("from", ticket.valid_from), ("until", ticket.valid_until)] {
        if let Some(at) = at {
            line.push_str(&format!(" {word} {}", time::to_rfc3339(at)));
        }
    }
    if !ticket.gates.is_empty() {
        line.push_str(&format!(" at {}", ticket.gates.join(", ")));
    }
    if let Some((at, reason)) = &ticket.revoked {
        line.push_str(&format!(" - taken back at {}: {reason}", time::to_rfc3339(*at)));
    }
    line
}

fn twice(ticket: &str, times: u64, last: UnixMillis, json: bool) -> String {
    let digest = Key::parse(ticket).map(|key| digest(&key)).unwrap_or_default();
    if json {
        return json!({ "ticket": ticket, "digest": digest, "duplicates": times, "last": last.0 })
            .to_string();
    }
    format!("{} {ticket} {digest}: {times} more after its admission", time::to_rfc3339(last))
}
