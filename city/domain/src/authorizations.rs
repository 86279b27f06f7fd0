//! Authorizations: an amount is held for an order while the till is online, so that the event that takes it can be made
//! offline. The till asks with an idempotency key; the same key is the same hold for ever.

use crate::books::{Authorization, Hold, Operation, Service, Stand};
use crate::gateway::Call;
use crate::limits::{ASK_AGAIN_MS, HOLD_MS, UNTOLD_HOLD_MS};
use crate::tx::{Fault, OrderState, Tx};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};

/// What a till wants to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The till.
    pub device: Device,
    /// Its idempotency key.
    pub intent: IntentKey,
    /// The order.
    pub order: Key,
    /// Minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The acquirer is to be asked; that it was asked is on record.
    Call(Call),
    /// It was answered before.
    Known(Authorization),
    /// The key stands for something else.
    KeyReused,
    /// The order is paid or promised: nothing more is held for it.
    AlreadyPaid,
    /// The order waits for the acquirer: nothing more is held for it.
    PaymentPending,
}

/// Begins an authorization, or finds the one that was begun under the key.
pub fn authorize<T: Tx + ?Sized>(
    tx: &mut T,
    wish: &Wish,
    now: UnixMillis,
    entropy: [u8; 10],
) -> Result<Begun, Fault> {
    if let Some(known) = tx.authorization_of(&wish.device, wish.intent)? {
        return again(tx, wish, known, now);
    }
    match tx.order(&wish.order)?.map(|order| order.state) {
        Some(OrderState::Captured | OrderState::Open) => return Ok(Begun::AlreadyPaid),
        Some(OrderState::Pending) => return Ok(Begun::PaymentPending),
        Some(OrderState::Failed) | None => {}
    }
    let reference = format!("auth-{}", EventId::mint(now, entropy));
    tx.put_authorization(&Authorization {
        reference: reference.clone(),
        device: wish.device.clone(),
        intent: wish.intent,
        order: wish.order.clone(),
        amount: wish.amount,
        currency: wish.currency.clone(),
        hold: Hold::Asked,
        reason: None,
        captures: 0,
        expires: UnixMillis(now.0 + UNTOLD_HOLD_MS),
        at: now,
    })?;
    let money = (wish.amount, wish.currency.as_str());
    let wanted = Operation::wanted(reference.clone(), Service::Authorize, &wish.order, reference, money, now);
    let operation = Operation { stand: Stand::Asked, due: Some(UnixMillis(now.0 + ASK_AGAIN_MS)), ..wanted };
    tx.put_operation(&operation)?;
    Ok(Begun::Call(Call { operation, query: false, traceparent: None }))
}

fn again<T: Tx + ?Sized>(
    tx: &mut T,
    wish: &Wish,
    known: Authorization,
    now: UnixMillis,
) -> Result<Begun, Fault> {
    if (&known.order, known.amount, &known.currency) != (&wish.order, wish.amount, &wish.currency) {
        return Ok(Begun::KeyReused);
    }
    if known.hold != Hold::Asked {
        return Ok(Begun::Known(told(tx, known, now)?));
    }
    let Some(operation) = tx.operation(&known.reference)? else {
        return Err(Fault(format!("{} was never asked for", known.reference)));
    };
    // Nobody else asks meanwhile. What the acquirer has not heard of is sent; else it is queried.
    let query = operation.stand == Stand::Asked;
    let operation =
        Operation { stand: Stand::Asked, due: Some(UnixMillis(now.0 + ASK_AGAIN_MS)), ..operation };
    tx.put_operation(&operation)?;
    Ok(Begun::Call(Call { operation, query, traceparent: None }))
}

/// How an authorization stands after the acquirer was asked. `None` while nothing is known.
pub fn standing<T: Tx + ?Sized>(
    tx: &mut T,
    wish: &Wish,
    now: UnixMillis,
) -> Result<Option<Authorization>, Fault> {
    match tx.authorization_of(&wish.device, wish.intent)? {
        Some(known) if known.hold != Hold::Asked => Ok(Some(told(tx, known, now)?)),
        _ => Ok(None),
    }
}

/// The till learns how its authorization stands: from now on it may use it for as long as its outbox keeps an event.
fn told<T: Tx + ?Sized>(
    tx: &mut T,
    authorization: Authorization,
    now: UnixMillis,
) -> Result<Authorization, Fault> {
    let expires = UnixMillis(authorization.at.0 + HOLD_MS);
    if authorization.hold != Hold::Authorized || authorization.expires >= expires || expires <= now {
        return Ok(authorization);
    }
    let authorization = Authorization { expires, ..authorization };
    tx.put_authorization(&authorization)?;
    Ok(authorization)
}
