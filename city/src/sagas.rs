//! `city sagas`: refunds of money that moved twice, for a person to look at and, where the acquirer refuses, to decide.

use crate::clock;
use crate::letters::{Place, Word, sql};
use crate::secret::{random, with_entropy};
use crate::store::{self, SqlTx, Story};
use city_domain::bus::{Failure, Turn};
use city_domain::{City, Duplicate, RefundDecision, RefundNotDecided, decide_refund, limits};
use clap::Subcommand;
use conch::event::time;
use conch::pace::Jitter;
use rusqlite::TransactionBehavior;
use serde_json::{Value, json};

#[derive(Subcommand)]
#[command(after_help = "\
A refund goes by itself: found, commanded, refunded. It is stuck when the acquirer has refused it again and again; then
  city sagas show txn-…                              says what was tried and what the acquirer answered
  city sagas retry txn-… --reason \"it is open again\"  has it tried once more
  city sagas settle txn-… --reason \"paid in cash\"     closes it, because the payer got the money another way")]
pub(crate) enum Sagas {
    /// The open ones, oldest first.
    #[command(after_help = "\
Examples:
  city sagas list --data /var/lib/city
  city sagas list --all --json | jq .state")]
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// One of them as JSON, with every step and everything the acquirer was asked.
    #[command(after_help = "\
Example:
  city sagas show txn-01a20fd8-ac1f-717a-abef-097085c5e2cd")]
    Show {
        /// The second capture's reference: txn-…
        txn_id: String,
        #[command(flatten)]
        place: Place,
    },
    /// Have a stuck one tried again, under a new id.
    #[command(after_help = "\
Example:
  city sagas retry txn-01a20fd8-ac1f-717a-abef-097085c5e2cd --reason \"the bank takes it again\"")]
    Retry {
        /// The second capture's reference: txn-…
        txn_id: String,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        place: Place,
    },
    /// Close one, because the money was given back another way.
    #[command(after_help = "\
Example:
  city sagas settle txn-01a20fd8-ac1f-717a-abef-097085c5e2cd --reason \"paid in cash at the stall\"")]
    Settle {
        /// The second capture's reference: txn-…
        txn_id: String,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        place: Place,
    },
}

impl Sagas {
    pub(crate) fn run(self) -> Result<(), String> {
        match self {
            Self::List { all, limit, json, place } => {
                let found = store::duplicates(&place.read()?, None, all, limit).map_err(sql)?;
                if found.is_empty() && !json {
                    println!("no refunds");
                }
                for refund in &found {
                    println!("{}", if json { described(refund).to_string() } else { line(refund) });
                }
                Ok(())
            }
            Self::Show { txn_id, place } => {
                let story = store::refund(&place.read()?, &txn_id).map_err(sql)?;
                let story = story.ok_or_else(|| missing(&txn_id))?;
                let text = serde_json::to_string_pretty(&told(&story)).map_err(|error| error.to_string())?;
                println!("{text}");
                Ok(())
            }
            Self::Retry { txn_id, word, place } => {
                take(&place, &txn_id, RefundDecision::Retry, &word)?;
                println!("{txn_id} is refunded again");
                Ok(())
            }
            Self::Settle { txn_id, word, place } => {
                take(&place, &txn_id, RefundDecision::Settle, &word)?;
                println!("{txn_id} is settled");
                Ok(())
            }
        }
    }
}

fn missing(txn_id: &str) -> String {
    format!("nothing moved twice under {txn_id}: see `city sagas list --all`")
}

fn take(place: &Place, txn_id: &str, decision: RefundDecision, word: &Word) -> Result<(), String> {
    let failed = |error: rusqlite::Error| format!("nothing was changed: {error}");
    let mut connection = place.write()?;
    let now = clock::now();
    let city = City { id: store::city_id(&connection, now).map_err(|problem| problem.to_string())? };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let dry = |error: std::io::Error| format!("the random source failed: {error}");
    let mut jitter = Jitter::new(u64::from_be_bytes(random().map_err(dry)?));
    let by = (word.by.as_str(), word.reason.as_str());
    let taken = with_entropy(
        |entropy| {
            let mut turn = Turn::new(&city, now, entropy, &mut jitter);
            let taken = decide_refund(&mut SqlTx(&transaction), txn_id, decision, by, &mut turn);
            taken.map_err(|failure| format!("nothing was changed: {}", words(failure)))
        },
        dry,
    );
    match taken? {
        Ok(_) => transaction.commit().map_err(failed),
        Err(RefundNotDecided::Missing) => Err(missing(txn_id)),
        Err(RefundNotDecided::Reason) => {
            Err(format!("a reason has 1 to {} characters", limits::REASON_CHARS_MAX))
        }
        Err(RefundNotDecided::Stands(state)) => Err(format!(
            "{txn_id} is {}: it goes by itself or is over, and only a stuck one is for a person to decide",
            state.as_str()
        )),
    }
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Storage(fault) => fault.0,
        Failure::Never(problem) | Failure::Later(problem) => problem.detail,
    }
}

fn line(refund: &Duplicate) -> String {
    let Duplicate { txn_id, order, state, amount, currency, attempt, at, .. } = refund;
    let state = state.as_str();
    format!("{} {txn_id} {order}: {amount} {currency}, {state}, refund {attempt}", time::to_rfc3339(*at))
}

/// A refund as its vendor sees it.
pub(crate) fn described(refund: &Duplicate) -> Value {
    json!({
        "dupTxnId": refund.txn_id,
        "origTxnId": refund.first_txn_id,
        "order": refund.order.as_str(),
        "state": refund.state.as_str(),
        "amount": refund.amount,
        "currency": refund.currency,
        "reason": "captured_twice",
        "attempt": refund.attempt,
        "reference": refund.reference,
        "at": refund.at.0,
    })
}

/// A refund with everything that happened.
pub(crate) fn told(story: &Story) -> Value {
    let mut value = described(&story.duplicate);
    let step = |step: &city_domain::RefundStep| {
        let state = step.state.as_str();
        json!({ "state": state, "attempt": step.attempt, "detail": step.detail, "at": step.at.0 })
    };
    let asked = |operation: &city_domain::Operation| {
        json!({
            "id": operation.id,
            "stand": operation.stand.as_str(),
            "tries": operation.tries,
            "due": operation.due.map(|due| due.0),
            "reference": operation.reference,
            "reason": operation.reason,
        })
    };
    if let Value::Object(members) = &mut value {
        members.insert("steps".to_owned(), story.steps.iter().map(step).collect());
        members.insert("asked".to_owned(), story.asked.iter().map(asked).collect());
    }
    value
}
