//! The payment service: cash and what was confirmed elsewhere is recorded, a promise is a receivable, an amount that was
//! authorized online is captured by the acquirer, and an order that is on the books stays as it is.
//!
//! Money has moved twice only when the acquirer says so: a second capture of an order, under whatever id, is a
//! duplicate and goes back (`refunds.rs`). An event that comes again is none.

use crate::books::{Authorization, Duplicate, Hold, Movement, Operation, RefundState, Service, Watcher};
use crate::bus::{Failure, Turn};
use crate::device_of;
use crate::gateway::{envelope, read};
use crate::limits::REFERENCE_CHARS_MAX;
use crate::outcome::{Cause, Outcome};
use crate::refunds::{self, CAPTURED_TWICE, went_back};
use crate::tx::{Capture, Fault, Order, OrderState, Tx};
use conch::event::contract::{Form, Terms};
use conch::event::json::Json;
use conch::event::{EventId, EventType, Key, Topic, UnixMillis};
use conch::wire::cloudevents::Envelope;

/// What a till asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    amount: u64,
    currency: String,
    method: String,
    authorization: Option<String>,
}

/// What is to be done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// The money is there: onto the books.
    Capture,
    /// Promised: the order stays open.
    Open,
    /// The acquirer takes what it holds: the order is pending until it has.
    Command,
    /// Nothing was taken, for this reason. The order says so.
    Fail(&'static str),
    /// The order has or gets its effect from another event; only the asker hears of it.
    Deny(&'static str),
}

/// How the authorization a request names stands to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It is not the city's.
    Unknown,
    /// It is for another order, amount or currency.
    Other,
    /// It is for this, and stands so.
    Own(Hold),
}

fn decide(asked: Option<&Asked>, standing: Option<OrderState>, fit: Fit) -> Decision {
    match standing {
        Some(OrderState::Captured) => return Decision::Deny("already_paid"),
        Some(OrderState::Open) => return Decision::Deny("already_promised"),
        Some(OrderState::Pending) => return Decision::Deny("payment_pending"),
        Some(OrderState::Failed) | None => {}
    }
    match asked.map(|asked| asked.method.as_str()) {
        None => Decision::Fail("no_amount"),
        Some("cash" | "confirmed_elsewhere") => Decision::Capture,
        Some("promise") => Decision::Open,
        Some(_) => match fit {
            // An authorization without an answer is one no till was told of.
            Fit::Unknown | Fit::Own(Hold::Asked) => Decision::Fail("unknown_authorization"),
            Fit::Other => Decision::Fail("authorization_mismatch"),
            Fit::Own(Hold::Authorized) => Decision::Command,
            Fit::Own(Hold::Declined) => Decision::Fail("declined"),
            Fit::Own(Hold::Used) => Decision::Fail("authorization_used"),
            Fit::Own(Hold::Cancelled) => Decision::Fail("authorization_cancelled"),
        },
    }
}

/// Takes a new intent to pay.
pub(crate) fn requested<T: Tx + ?Sized>(
    tx: &mut T,
    cause: Cause<'_>,
    txn_id: String,
    now: UnixMillis,
) -> Result<Option<Outcome>, Fault> {
    let envelope = cause.envelope;
    let asked = asked(&envelope.data);
    let standing = tx.order(&envelope.key)?;
    let authorization = match asked.as_ref().and_then(|asked| asked.authorization.as_deref()) {
        Some(reference) => tx.authorization(reference)?,
        None => None,
    };
    let fit = fit(&envelope.key, asked.as_ref(), authorization.as_ref());
    let decision = decide(asked.as_ref(), standing.as_ref().map(|order| order.state), fit);
    let (state, reason) = match decision {
        Decision::Capture => (OrderState::Captured, None),
        Decision::Open => (OrderState::Open, None),
        Decision::Command => (OrderState::Pending, None),
        Decision::Fail(reason) => (OrderState::Failed, Some(reason.to_owned())),
        Decision::Deny(reason) => {
            // What is held for a second payment is let go, unless the first may still fail.
            if let (Some(authorization), Fit::Own(Hold::Authorized)) = (authorization, fit)
                && standing.as_ref().is_some_and(|order| order.state == OrderState::Captured)
            {
                cancel(tx, authorization, now)?;
            }
            let first = standing.and_then(|order| order.txn_id);
            return Ok(Some(denied(&envelope.topic, "failed", asked.as_ref(), first, reason)));
        }
    };
    let order = Order {
        key: envelope.key.clone(),
        state,
        event: envelope.id,
        intent: envelope.intent,
        device: cause.device.clone(),
        amount: asked.as_ref().map(|asked| asked.amount),
        currency: asked.as_ref().map(|asked| asked.currency.clone()),
        method: asked.as_ref().map(|asked| asked.method.clone()),
        txn_id: (state == OrderState::Captured).then_some(txn_id),
        reason,
        at: cause.at,
    };
    tx.put_order(&order)?;
    if let (OrderState::Pending, Some(authorization)) = (state, authorization) {
        command(tx, authorization, envelope, now)?;
        return Ok(None);
    }
    if let (Some(asked), Some(txn_id)) = (asked, order.txn_id.clone()) {
        tx.put_capture(&Capture {
            order: order.key.clone(),
            txn_id,
            event: order.event,
            amount: asked.amount,
            currency: asked.currency,
            at: order.at,
        })?;
    }
    Ok(match state {
        OrderState::Captured => Some(said(&envelope.topic, "captured", &order)),
        OrderState::Failed => Some(said(&envelope.topic, "failed", &order)),
        OrderState::Open | OrderState::Pending => None,
    })
}

fn fit(order: &Key, asked: Option<&Asked>, authorization: Option<&Authorization>) -> Fit {
    let (Some(asked), Some(own)) = (asked, authorization) else { return Fit::Unknown };
    let same = own.order == *order && own.amount == asked.amount && own.currency == asked.currency;
    if same { Fit::Own(own.hold) } else { Fit::Other }
}

/// Has the acquirer take what it holds.
fn command<T: Tx + ?Sized>(
    tx: &mut T,
    authorization: Authorization,
    envelope: &Envelope,
    now: UnixMillis,
) -> Result<(), Fault> {
    let captures = authorization.captures + 1;
    let used = Authorization { hold: Hold::Used, captures, ..authorization };
    tx.put_authorization(&used)?;
    let id = format!("capture:{}:{captures}", used.reference);
    let money = (used.amount, used.currency.as_str());
    let capture = Operation::wanted(id, Service::Capture, &used.order, used.reference.clone(), money, now);
    let cause = Some((envelope.source.clone(), envelope.id));
    tx.put_operation(&Operation { cause, ..capture })
}

/// What is held under an authorization and of no use any more is let go.
pub(crate) fn cancel<T: Tx + ?Sized>(
    tx: &mut T,
    authorization: Authorization,
    now: UnixMillis,
) -> Result<(), Fault> {
    let cancelled = Authorization { hold: Hold::Cancelled, ..authorization };
    tx.put_authorization(&cancelled)?;
    let Authorization { reference, order, amount, currency, .. } = cancelled;
    let id = format!("cancel:{reference}");
    tx.put_operation(&Operation::wanted(id, Service::Cancel, &order, reference, (amount, &currency), now))
}

/// What the acquirer holds under this authorization is of no use.
pub(crate) fn let_go(tx: &mut dyn Tx, authorize: &Operation, now: UnixMillis) -> Result<(), Fault> {
    let money = (authorize.amount, authorize.currency.as_str());
    let (id, about) = (format!("cancel:{}", authorize.id), authorize.id.clone());
    tx.put_operation(&Operation::wanted(id, Service::Cancel, &authorize.order, about, money, now))
}

/// The same intent came again under another id: its sender hears what became of the first, now or when it is known.
pub(crate) fn repeated<T: Tx + ?Sized>(
    tx: &mut T,
    cause: Cause<'_>,
    body: &str,
) -> Result<Option<Outcome>, Fault> {
    let envelope = cause.envelope;
    let Some(mut order) = tx.order(&envelope.key)? else { return Ok(None) };
    // Another intent stands there: this one was denied, or a later attempt took its place.
    if order.intent != envelope.intent {
        let reason = match order.state {
            OrderState::Captured => "already_paid".to_owned(),
            OrderState::Open => "already_promised".to_owned(),
            OrderState::Pending => "payment_pending".to_owned(),
            OrderState::Failed => order.reason.unwrap_or_else(|| "refused".to_owned()),
        };
        let asked = asked(&envelope.data);
        return Ok(Some(denied(&envelope.topic, "result_replayed", asked.as_ref(), order.txn_id, &reason)));
    }
    match order.state {
        OrderState::Pending => {
            let (source, id) = (envelope.source.clone(), envelope.id);
            tx.put_watcher(&order.key, &Watcher { source, id, body: body.to_owned() })?;
            return Ok(None);
        }
        OrderState::Open => order.reason = Some("open".to_owned()),
        OrderState::Captured | OrderState::Failed => {}
    }
    Ok(Some(said(&envelope.topic, "result_replayed", &order)))
}

/// Takes note of money the acquirer says it moved, once for each reference, whoever says it first.
pub(crate) fn moved(
    tx: &mut dyn Tx,
    movement: &Movement,
    listed: bool,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    if let Some(known) = tx.movement(&movement.reference)? {
        if known != *movement {
            return unexplained(tx, "movement_changed", movement, turn);
        }
        let (_, seen) = tx.movements_of(&known.operation)?.into_iter().find(|(own, _)| *own == known).unzip();
        if listed && seen == Some(false) {
            tx.mark_listed(&movement.reference)?;
            return confirm(tx, &movement.operation, turn);
        }
        return Ok(());
    }
    let operation = tx.operation(&movement.operation)?;
    let Some(operation) = operation.filter(|own| own.service == movement.service) else {
        return unexplained(tx, "movement_unknown", movement, turn);
    };
    tx.put_movement(movement, listed, turn.now)?;
    if (operation.amount, &operation.currency) != (movement.amount, &movement.currency) {
        unexplained(tx, "amount_mismatch", movement, turn)?;
    }
    match movement.service {
        Service::Capture => captured(tx, &operation, movement, turn),
        Service::Refund => went_back(tx, &operation, movement, turn),
        Service::Authorize | Service::Cancel => Ok(()),
    }
}

/// What the acquirer says it moved and the books cannot explain is for a person, once.
fn unexplained(tx: &mut dyn Tx, word: &str, movement: &Movement, turn: &mut Turn<'_>) -> Result<(), Failure> {
    if !tx.put_told(&format!("{word} {}", movement.reference))? {
        return Ok(());
    }
    let order = tx.operation(&movement.operation)?.map(|operation| operation.order);
    let members = vec![
        ("reference", shown(&movement.reference)),
        ("amount", Json::Number(movement.amount.to_string())),
        ("currency", Json::Text(movement.currency.clone())),
    ];
    alert(tx, word, order.as_ref(), None, members, turn)
}

/// What the acquirer does with something we asked, and a person should look at.
pub(crate) fn strange(
    tx: &mut dyn Tx,
    word: &str,
    operation: &Operation,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let cause = envelope(tx, operation.cause.as_ref())?;
    let mut members = vec![
        ("operation", shown(&operation.id)),
        ("amount", Json::Number(operation.amount.to_string())),
        ("currency", Json::Text(operation.currency.clone())),
    ];
    members.extend(operation.reference.as_ref().map(|reference| ("reference", shown(reference))));
    alert(tx, word, Some(&operation.order), cause.as_ref(), members, turn)
}

/// A name of the acquirer's as an alert can carry it.
pub(crate) fn shown(name: &str) -> Json {
    let short: String = name.chars().take(REFERENCE_CHARS_MAX).collect();
    Json::Text(if short.is_empty() { "none".to_owned() } else { short })
}

/// Raises an alert about an order, or about payments as a whole.
pub(crate) fn alert(
    tx: &mut dyn Tx,
    word: &str,
    order: Option<&Key>,
    cause: Option<&Envelope>,
    members: Vec<(&str, Json)>,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let payments = Key::parse("payments").map_err(|_| Failure::never("no-key", "the alert has no name"))?;
    let mut data = vec![("alert".to_owned(), Json::Text(word.to_owned()))];
    data.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
    turn.say(tx, ("ops.alerts.v1", "raised", order.unwrap_or(&payments)), cause, None, Json::Object(data))
}

/// The first money of an order goes onto the books; any more is a duplicate.
fn captured(
    tx: &mut dyn Tx,
    operation: &Operation,
    movement: &Movement,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let txn_id = format!("txn-{}", EventId::mint(turn.now, (turn.entropy)()));
    if let Some(first) = tx.capture(&operation.order)? {
        return twice(tx, operation, movement, (first.txn_id, txn_id), turn);
    }
    let cause = envelope(tx, operation.cause.as_ref())?
        .ok_or_else(|| Failure::never("no-cause", format!("{} has no event behind it", operation.id)))?;
    let device = device_of(&cause.source)
        .ok_or_else(|| Failure::never("no-device", "the event behind it is no device's"))?;
    let order = tx.order(&operation.order)?;
    let at = order.as_ref().map_or(turn.now, |order| order.at);
    let order = Order {
        key: operation.order.clone(),
        state: OrderState::Captured,
        event: cause.id,
        intent: cause.intent,
        device: device.clone(),
        amount: Some(movement.amount),
        currency: Some(movement.currency.clone()),
        method: Some("authorized_online".to_owned()),
        txn_id: Some(txn_id.clone()),
        reason: None,
        at,
    };
    tx.put_order(&order)?;
    tx.put_capture(&Capture {
        order: order.key.clone(),
        txn_id,
        event: order.event,
        amount: movement.amount,
        currency: movement.currency.clone(),
        at,
    })?;
    // Nothing more is to be held for it.
    for held in tx.held_for(&order.key)? {
        cancel(tx, held, turn.now)?;
    }
    tell(tx, "captured", &order, &cause, turn)?;
    tell_watchers(tx, &order, turn)
}

fn twice(
    tx: &mut dyn Tx,
    operation: &Operation,
    movement: &Movement,
    (first_txn_id, txn_id): (String, String),
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let duplicate = Duplicate {
        txn_id,
        first_txn_id,
        order: operation.order.clone(),
        reference: movement.reference.clone(),
        amount: movement.amount,
        refunding: 0,
        currency: movement.currency.clone(),
        state: RefundState::Found,
        attempt: 0,
        cause: operation.cause.clone(),
        at: turn.now,
    };
    tx.put_duplicate(&duplicate)?;
    refunds::put_step(tx, &duplicate, &movement.reference, turn.now)?;
    confirm(tx, &operation.id, turn)
}

/// Money has moved twice under one id when the acquirer's own list shows it twice: its answer may have called the same
/// money by another name, and a payer's only payment must not be given back. What waits for that is told within the hour,
/// as money the list does not show.
fn confirm(tx: &mut dyn Tx, operation: &str, turn: &mut Turn<'_>) -> Result<(), Failure> {
    let moved = tx.movements_of(operation)?;
    if moved.len() > 1 && moved.iter().any(|(_, listed)| !listed) {
        return Ok(());
    }
    for (movement, _) in moved {
        if let Some(duplicate) = tx.duplicate_of(&movement.reference)?
            && duplicate.state == RefundState::Found
        {
            refunds::say(tx, &duplicate, "duplicate_captured", CAPTURED_TWICE, turn)?;
        }
    }
    Ok(())
}

/// The acquirer will not take it: the order failed, unless something else paid it meanwhile.
pub(crate) fn not_captured(
    tx: &mut dyn Tx,
    operation: &Operation,
    reason: &str,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    // A new attempt may use what is still held.
    if let Some(authorization) = tx.authorization(&operation.about)?
        && authorization.hold == Hold::Used
    {
        tx.put_authorization(&Authorization { hold: Hold::Authorized, ..authorization })?;
    }
    let Some(cause) = envelope(tx, operation.cause.as_ref())? else { return Ok(()) };
    let Some(order) = tx.order(&operation.order)? else { return Ok(()) };
    // It said so before, and does not know what became of the earlier one.
    if !operation.id.ends_with(":1") && reason != "already_paid" {
        strange(tx, "payment_doubtful", operation, turn)?;
    }
    if order.event == cause.id && order.state != OrderState::Pending {
        return Ok(());
    }
    if order.event != cause.id {
        // Another event paid it meanwhile, or is about to: this one did not.
        let asked = asked(&cause.data);
        let denied = denied(&cause.topic, "failed", asked.as_ref(), order.txn_id, reason);
        let device = device_of(&cause.source);
        let place = (cause.topic.as_str(), "failed", &order.key);
        return turn.say(tx, place, Some(&cause), device.as_ref(), denied.data());
    }
    let order = Order { state: OrderState::Failed, reason: Some(reason.to_owned()), ..order };
    tx.put_order(&order)?;
    tell(tx, "failed", &order, &cause, turn)?;
    tell_watchers(tx, &order, turn)
}

fn tell(
    tx: &mut dyn Tx,
    kind: &'static str,
    order: &Order,
    cause: &Envelope,
    turn: &mut Turn<'_>,
) -> Result<(), Failure> {
    let data = said(&cause.topic, kind, order).data();
    let device = device_of(&cause.source);
    turn.say(tx, (cause.topic.as_str(), kind, &order.key), Some(cause), device.as_ref(), data)
}

fn tell_watchers(tx: &mut dyn Tx, order: &Order, turn: &mut Turn<'_>) -> Result<(), Failure> {
    for watcher in tx.watchers(&order.key)? {
        if let Some(cause) = read(&watcher.body) {
            tell(tx, "result_replayed", order, &cause, turn)?;
        }
    }
    Ok(tx.drop_watchers(&order.key)?)
}

/// Version 1 has no amount in its contract, but a writer that knows the later members may send them.
fn asked(data: &Json) -> Option<Asked> {
    let topic = Topic::parse("pay.txn.v2").ok()?;
    let Ok(Terms::Contract(contract)) = Terms::of(&topic, &EventType::parse("requested").ok()?) else {
        return None;
    };
    contract.check(data, "", Form::Open).ok()?;
    let text = |name| data.get(name).and_then(Json::as_text).map(str::to_owned);
    Some(Asked {
        amount: data.get("amount")?.as_whole()?,
        currency: text("currency")?,
        method: text("method")?,
        authorization: text("authRef"),
    })
}

fn said(topic: &Topic, kind: &'static str, order: &Order) -> Outcome {
    let text = |value: &Option<String>| value.clone().map(Json::Text);
    Outcome::new(
        topic,
        kind,
        vec![
            ("txnId", text(&order.txn_id)),
            ("amount", order.amount.map(|amount| Json::Number(amount.to_string()))),
            ("currency", text(&order.currency)),
            ("method", text(&order.method)),
            ("reason", text(&order.reason)),
        ],
    )
}

fn denied(
    topic: &Topic,
    kind: &'static str,
    asked: Option<&Asked>,
    first: Option<String>,
    reason: &str,
) -> Outcome {
    Outcome::new(
        topic,
        kind,
        vec![
            ("origTxnId", first.map(Json::Text)),
            ("amount", asked.map(|asked| Json::Number(asked.amount.to_string()))),
            ("currency", asked.map(|asked| Json::Text(asked.currency.clone()))),
            ("method", asked.map(|asked| Json::Text(asked.method.clone()))),
            ("reason", Some(Json::Text(reason.to_owned()))),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: &str) -> Asked {
        Asked { amount: 1, currency: "TWD".into(), method: method.into(), authorization: None }
    }

    const METHODS: [&str; 4] = ["cash", "confirmed_elsewhere", "promise", "authorized_online"];

    #[test]
    fn row_an_order_that_is_paid_promised_or_pending_takes_nothing_more() {
        for method in METHODS {
            for (standing, reason) in [
                (OrderState::Captured, "already_paid"),
                (OrderState::Open, "already_promised"),
                (OrderState::Pending, "payment_pending"),
            ] {
                let fit = Fit::Own(Hold::Authorized);
                assert_eq!(decide(Some(&asks(method)), Some(standing), fit), Decision::Deny(reason));
                assert_eq!(decide(None, Some(standing), fit), Decision::Deny(reason));
            }
        }
    }

    #[test]
    fn row_only_money_that_is_there_is_captured() {
        for (method, decision) in [
            ("cash", Decision::Capture),
            ("confirmed_elsewhere", Decision::Capture),
            ("promise", Decision::Open),
            ("authorized_online", Decision::Fail("unknown_authorization")),
        ] {
            assert_eq!(decide(Some(&asks(method)), None, Fit::Unknown), decision);
            assert_eq!(
                decide(Some(&asks(method)), Some(OrderState::Failed), Fit::Unknown),
                decision,
                "a failed order may be tried again"
            );
        }
        assert_eq!(decide(None, None, Fit::Unknown), Decision::Fail("no_amount"));
    }

    #[test]
    fn row_only_an_own_authorization_that_is_held_is_captured() {
        for (fit, decision) in [
            (Fit::Own(Hold::Authorized), Decision::Command),
            (Fit::Own(Hold::Asked), Decision::Fail("unknown_authorization")),
            (Fit::Own(Hold::Declined), Decision::Fail("declined")),
            (Fit::Own(Hold::Used), Decision::Fail("authorization_used")),
            (Fit::Own(Hold::Cancelled), Decision::Fail("authorization_cancelled")),
            (Fit::Other, Decision::Fail("authorization_mismatch")),
        ] {
            assert_eq!(decide(Some(&asks("authorized_online")), None, fit), decision);
        }
    }

    #[test]
    fn version_one_may_carry_the_later_members() {
        let read = |text: &str| asked(&Json::parse(text).unwrap());
        assert_eq!(read(r#"{"amount":1,"currency":"TWD","method":"cash","more":true}"#), Some(asks("cash")));
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"amount":"1","currency":"TWD","method":"cash"}"#), None);
        assert_eq!(read(r#"{"amount":1,"currency":"TWD","method":"authorized_online"}"#), None);
    }
}
