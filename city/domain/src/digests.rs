//! Digests: an admission as the other gates hear of it, so that they know a used ticket without a question.
//!
//! They are told what a ticket's id hashes to and not the id. A digest is a help for gates that listen and is forgotten
//! after an hour, or taken back (`freed`) when nobody is inside after all; a gate that was away asks the city, and what both let in is found when its scans arrive.

use crate::bus::{Consumer, Failure, Message, Subscription, Tick, Turn};
use crate::limits::{DIGEST_DEVICES_MAX, DIGEST_LIFE_MS, FORGET_ROWS_MAX, SEEN_MS};
use crate::ticket::{digest, digest_key};
use crate::tx::Tx;
use conch::event::json::Json;
use conch::event::{Key, UnixMillis};

/// The topic of the digests. They stand on feeds only.
const TOPIC: &str = "gate.seen.v1";

/// The service that tells gates of each other's admissions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Digests;

impl Consumer for Digests {
    fn name(&self) -> &'static str {
        "gate-digests"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        Subscription::to("gate.auth.v2", &["admitted"]).into_iter().collect()
    }

    /// Only noted here: an admission has as many listeners as there are gates, and a turn has to stay short.
    fn handle(&self, tx: &mut dyn Tx, message: &Message, turn: &mut Turn<'_>) -> Result<(), Failure> {
        let said = message.envelope().and_then(|envelope| envelope.time);
        let until = UnixMillis(said.map_or(0, |said| said.0) + DIGEST_LIFE_MS);
        // What was said long ago, before this service ran, helps nobody any more.
        if message.source == turn.city.source() && until > turn.now {
            tx.put_digest(&message.key, until)?;
        }
        Ok(())
    }

    /// Tells one digest. When there is none, feeds forget old ones: they do not grow for ever.
    fn tick(&self, tx: &mut dyn Tx, turn: &mut Turn<'_>) -> Result<Tick, Failure> {
        if let Some((ticket, until)) = tx.take_digest()? {
            tell(tx, &ticket, until, turn)?;
            return Ok(Tick::Did);
        }
        let dropped = tx.drop_passed(turn.now, FORGET_ROWS_MAX)?;
        Ok(if dropped > 0 { Tick::Did } else { Tick::Rests(None) })
    }
}

fn tell(tx: &mut dyn Tx, ticket: &Key, until: UnixMillis, turn: &mut Turn<'_>) -> Result<(), Failure> {
    if until <= turn.now {
        return Ok(());
    }
    // Moved meanwhile, or taken back: the present is what counts, and what was told before is no longer so.
    let admission = tx.admission(ticket)?;
    let kind = if admission.is_some() { "admitted" } else { "freed" };
    let at = admission.as_ref().map_or(turn.now, |admission| admission.at);
    let mut members = vec![
        ("digest".to_owned(), Json::Text(digest(ticket))),
        ("at".to_owned(), Json::Number(at.0.to_string())),
    ];
    members.extend(
        admission.as_ref().map(|admission| ("gateId".to_owned(), Json::Text(admission.gate.clone()))),
    );
    let (data, own) = (Json::Object(members), admission.map(|admission| admission.device));
    let key = digest_key(ticket)?;
    let since = UnixMillis(turn.now.0.saturating_sub(SEEN_MS));
    let gates = tx.gates_since(since, DIGEST_DEVICES_MAX)?;
    for device in gates.iter().filter(|device| Some(*device) != own.as_ref()) {
        turn.pass_on(tx, (TOPIC, kind, &key), (device, until), data.clone())?;
    }
    Ok(())
}
