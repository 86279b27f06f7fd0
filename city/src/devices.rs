//! `city devices`: who has enrolled, how each stands, who may no longer speak, and what of one will never come.

use crate::clock;
use crate::letters::{Place, Word, sql};
use crate::secret::with_entropy;
use crate::store::{self, Known, SqlTx};
use city_domain::{City, NotWrittenOff, limits, write_off};
use clap::Subcommand;
use conch::event::{Device, UnixMillis, time};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};

#[derive(Subcommand)]
pub(crate) enum Devices {
    /// All of them: role, when it was last heard, what it owes, and whether something is wrong with it.
    #[command(after_help = "\
Examples:
  city devices list --data /var/lib/city
  city devices list --json | jq 'select(.clone)'   only those whose name another device bears")]
    List {
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// One of them as JSON, with the lives of its database and the sequences that never came.
    #[command(after_help = "\
Example:
  city devices show till-7 --data /var/lib/city")]
    Show {
        /// The device's name.
        #[arg(value_parser = name)]
        device: Device,
        #[command(flatten)]
        place: Place,
    },
    /// Void its tokens, its unused codes and its place in the directory. A running city knows within a second; what the
    /// device still owes waits there until it enrols anew with a code.
    #[command(after_help = "\
Example, when a till was stolen:
  city devices revoke till-7 --data /var/lib/city")]
    Revoke {
        /// The device's name.
        #[arg(value_parser = name)]
        device: Device,
        #[command(flatten)]
        place: Place,
    },
    /// Give up what never came from one, so that its alarm is cleared. What comes after all counts as any other event.
    #[command(after_help = "\
Example, when a phone fell into the harbour:
  city devices write-off gate-n1 --reason \"the phone is lost\"")]
    WriteOff {
        /// The device's name.
        #[arg(value_parser = name)]
        device: Device,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        place: Place,
    },
}

fn name(text: &str) -> Result<Device, &'static str> {
    Device::parse(text).map_err(|_| "a device is 1 to 64 of a-z, 0-9 and -")
}

impl Devices {
    pub(crate) fn run(self) -> Result<(), String> {
        match self {
            Self::List { json, place } => {
                let devices = store::devices(&place.read()?, None).map_err(sql)?;
                if devices.is_empty() && !json {
                    println!("no devices: `city codes new` makes a code for one");
                }
                for device in &devices {
                    println!("{}", if json { described(device).to_string() } else { line(device) });
                }
                Ok(())
            }
            Self::Show { device, place } => show(&place.read()?, &device),
            Self::Revoke { device, place } => revoke(&place, &device),
            Self::WriteOff { device, word, place } => give_up(&place, &device, &word),
        }
    }
}

fn missing(device: &Device) -> String {
    format!("no device {device} has enrolled: see `city devices list`")
}

fn line(known: &Known) -> String {
    let owed = match &known.owed {
        None => "owes: unknown".to_owned(),
        Some(owed) if owed.lowest > owed.highest => "owes nothing".to_owned(),
        Some(owed) => format!("owes within {}-{}", owed.lowest, owed.highest),
    };
    let mut line = format!(
        "{} {} enrolled {} seen {} {owed}",
        known.device,
        known.role.as_str(),
        time::to_rfc3339(known.enrolled_at),
        time::to_rfc3339(known.seen_at)
    );
    line.push_str(&match known.tokens {
        0 => ", revoked".to_owned(),
        1 => ", 1 token".to_owned(),
        many => format!(", {many} tokens"),
    });
    if known.missing > 0 {
        line.push_str(&format!(", {} events never came", known.missing));
    }
    if let Some((why, at)) = &known.clone {
        line.push_str(&format!("\n      CLONED since {}: {}", time::to_rfc3339(*at), told(why)));
    }
    line
}

/// The reason in words, with what to do.
fn told(why: &str) -> &'static str {
    match why {
        "two_lives" => "two databases speak under this name; revoke it and enrol one device anew",
        "two_contexts" => {
            "two copies of its database take the lead in turns; revoke it and enrol one device anew"
        }
        _ => "two events came from one place of its outbox; revoke it and enrol one device anew",
    }
}

fn described(known: &Known) -> Value {
    let at = |at: UnixMillis| Value::from(at.0);
    json!({
        "device": known.device.as_str(),
        "role": known.role.as_str(),
        "enrolledAt": at(known.enrolled_at),
        "seenAt": at(known.seen_at),
        "owed": known.owed.map(|owed| json!({ "lowest": owed.lowest, "highest": owed.highest })),
        "missing": known.missing,
        "clone": known.clone.as_ref().map(|(why, found)| json!({ "why": why, "foundAt": found.0 })),
        "tokens": known.tokens,
    })
}

fn show(connection: &Connection, device: &Device) -> Result<(), String> {
    let known = store::devices(connection, Some(device)).map_err(sql)?;
    let mut shown = described(known.first().ok_or_else(|| missing(device))?);
    let lives = store::lives(connection, device).map_err(sql)?;
    let lives = lives.iter().map(|life| {
        json!({
            "incarnation": life.name, "epoch": life.epoch, "firstAt": life.first_at.0, "spokeAt": life.spoke_at.0,
            "owed": life.owed.map(|owed| json!({ "lowest": owed.lowest, "highest": owed.highest })),
        })
    });
    let gaps = store::gaps(connection, device).map_err(sql)?;
    let gaps = gaps.iter().map(|(life, gap, found)| {
        json!({ "incarnation": life, "first": gap.first, "last": gap.last, "foundAt": found.0 })
    });
    if let Some(members) = shown.as_object_mut() {
        members.insert("lives".to_owned(), lives.collect());
        members.insert("gaps".to_owned(), gaps.collect());
    }
    println!("{}", serde_json::to_string_pretty(&shown).map_err(|error| error.to_string())?);
    Ok(())
}

fn give_up(place: &Place, device: &Device, word: &Word) -> Result<(), String> {
    let failed = |error: rusqlite::Error| format!("nothing was changed: {error}");
    let mut connection = place.write()?;
    let now = clock::now();
    let city = City { id: store::city_id(&connection, now).map_err(|problem| problem.to_string())? };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let taken = with_entropy(
        |entropy| {
            let by = (word.by.as_str(), word.reason.as_str());
            let taken = write_off(&mut SqlTx(&transaction), &city, device, by, now, entropy);
            taken.map_err(|fault| format!("nothing was changed: {}", fault.0))
        },
        |error: std::io::Error| format!("the random source failed: {error}"),
    );
    match taken? {
        Ok(missing) => {
            transaction.commit().map_err(failed)?;
            println!("{device}: {missing} events are given up");
            Ok(())
        }
        Err(NotWrittenOff::NothingMissing) => {
            Err(format!("nothing is missing of {device}: see `city devices list`"))
        }
        Err(NotWrittenOff::Reason) => {
            Err(format!("a reason has 1 to {} characters", limits::REASON_CHARS_MAX))
        }
    }
}

fn revoke(place: &Place, device: &Device) -> Result<(), String> {
    let failed = |error: rusqlite::Error| format!("nothing was changed: {error}");
    let mut connection = place.write()?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let known = store::devices(&transaction, Some(device)).map_err(failed)?;
    if known.is_empty() {
        return Err(missing(device));
    }
    let (tokens, codes) = store::revoke(&transaction, device).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    println!("{device}: void are {tokens} of its tokens and {codes} of its codes");
    Ok(())
}
