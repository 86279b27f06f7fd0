//! The payment service: cash and what was confirmed elsewhere is recorded, a promise is a receivable, and an order
//! that is on the books stays as it is. No gateway is ever called from here.

use crate::outcome::{Cause, Outcome};
use crate::tx::{Capture, Fault, Order, OrderState, Tx};
use conch::event::contract::{Form, Terms};
use conch::event::json::Json;
use conch::event::{EventType, Topic};

/// What a till asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    amount: u64,
    currency: String,
    method: String,
}

/// What is to be done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// The money is there: onto the books.
    Capture,
    /// Promised: the order stays open.
    Open,
    /// Nothing was taken, for this reason. The order says so.
    Fail(&'static str),
    /// The order has its effect already; only the asker hears of it.
    AlreadyPaid,
}

fn decide(asked: Option<&Asked>, standing: Option<OrderState>) -> Decision {
    if matches!(standing, Some(OrderState::Captured | OrderState::Open)) {
        return Decision::AlreadyPaid;
    }
    match asked.map(|asked| asked.method.as_str()) {
        None => Decision::Fail("no_amount"),
        Some("cash" | "confirmed_elsewhere") => Decision::Capture,
        Some("promise") => Decision::Open,
        // This city has no acquirer: it would be a lie to call an authorisation captured.
        Some(_) => Decision::Fail("no_acquirer"),
    }
}

/// Takes a new intent to pay.
pub(crate) fn requested<T: Tx + ?Sized>(
    tx: &mut T,
    cause: Cause<'_>,
    txn_id: String,
) -> Result<Option<Outcome>, Fault> {
    let envelope = cause.envelope;
    let asked = asked(&envelope.data);
    let standing = tx.order(&envelope.key)?;
    let decision = decide(asked.as_ref(), standing.as_ref().map(|order| order.state));
    let (state, reason) = match decision {
        Decision::Capture => (OrderState::Captured, None),
        Decision::Open => (OrderState::Open, None),
        Decision::Fail(reason) => (OrderState::Failed, Some(reason.to_owned())),
        Decision::AlreadyPaid => {
            let first = standing.and_then(|order| order.txn_id);
            return Ok(Some(already_paid(&envelope.topic, asked.as_ref(), first)));
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
        OrderState::Open => None,
    })
}

/// The same intent came again under another id: its sender hears what became of the first.
pub(crate) fn repeated<T: Tx + ?Sized>(tx: &mut T, cause: Cause<'_>) -> Result<Option<Outcome>, Fault> {
    let Some(mut order) = tx.order(&cause.envelope.key)? else { return Ok(None) };
    if order.state == OrderState::Open {
        order.reason = Some("open".to_owned());
    }
    Ok(Some(said(&cause.envelope.topic, "result_replayed", &order)))
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

fn already_paid(topic: &Topic, asked: Option<&Asked>, first: Option<String>) -> Outcome {
    Outcome::new(
        topic,
        "failed",
        vec![
            ("origTxnId", first.map(Json::Text)),
            ("amount", asked.map(|asked| Json::Number(asked.amount.to_string()))),
            ("currency", asked.map(|asked| Json::Text(asked.currency.clone()))),
            ("method", asked.map(|asked| Json::Text(asked.method.clone()))),
            ("reason", Some(Json::Text("already_paid".to_owned()))),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: &str) -> Asked {
        Asked { amount: 1, currency: "TWD".into(), method: method.into() }
    }

    #[test]
    fn only_money_that_is_there_is_captured() {
        for (method, decision) in [
            ("cash", Decision::Capture),
            ("confirmed_elsewhere", Decision::Capture),
            ("promise", Decision::Open),
            ("authorized_online", Decision::Fail("no_acquirer")),
        ] {
            assert_eq!(decide(Some(&asks(method)), None), decision);
            assert_eq!(
                decide(Some(&asks(method)), Some(OrderState::Failed)),
                decision,
                "a failed order may be tried again"
            );
            assert_eq!(decide(Some(&asks(method)), Some(OrderState::Captured)), Decision::AlreadyPaid);
            assert_eq!(decide(Some(&asks(method)), Some(OrderState::Open)), Decision::AlreadyPaid);
        }
        assert_eq!(decide(None, None), Decision::Fail("no_amount"));
        assert_eq!(decide(None, Some(OrderState::Captured)), Decision::AlreadyPaid);
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
