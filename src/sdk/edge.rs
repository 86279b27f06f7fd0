//! `Edge`: the outbox as JavaScript sees it. Its types for TypeScript stand in `npm/index.d.ts`.

use super::canary;
use super::driver::{Driver, Setup, Told, now};
use super::errors::{self, Retry, error};
use super::records::{self, CommitIn, Records};
use super::values;
use crate::browser::entropy;
use crate::browser::promise::{Outcome, ended, promise};
use crate::browser::store::Store;
use crate::browser::sys::{self, Function, Promise, get};
use crate::event::{Device, EventId, Identity, Key, Sequence, Stored};
use crate::limits::SAFE_INTEGER_MAX;
use crate::outbox::Engine;
use crate::outbox::record::DeadLetter;
use crate::wire::single::REFUSED;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Letters of a made key: no 0, 1, I, L, O and U, which people mix up or misread.
const KEY_LETTERS: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Random letters of a made key: 26 of 30 are more than 127 bits.
const KEY_RANDOM_LETTERS: usize = 26;

/// What `Edge.open` understands; `sync` is read by the package around it.
const OPTIONS: [&str; 9] =
    ["city", "single", "refused", "device", "credentials", "database", "apply", "feed", "sync"];

/// An open outbox.
#[wasm_bindgen]
pub struct Edge {
    driver: Rc<Driver>,
}

#[wasm_bindgen]
impl Edge {
    /// Opens the outbox, creating it the first time, and starts to deliver what it owes.
    #[wasm_bindgen(unchecked_return_type = "Promise<Edge>")]
    pub fn open(options: JsValue) -> Promise {
        promise(Box::pin(async move { Ok(Self::opened(&options).await?.into()) }))
    }

    /// Takes an event; resolves once it is safely on disk.
    pub fn emit(&self, event: &JsValue) -> Promise {
        rejecting(|| {
            self.check_open()?;
            let emit = values::read_emit(event)?;
            let bytes = entropy::bytes().map_err(|_| no_entropy())?;
            let (ticket, promise) = self.driver.ticket();
            self.driver.engine.borrow_mut().emit(ticket, &emit, now(), bytes);
            self.driver.drain_later();
            Ok(promise)
        })
    }

    /// Takes events together with records of the application, all of it or nothing.
    pub fn commit(&self, commit: &JsValue) -> Promise {
        rejecting(|| {
            self.check_open()?;
            let CommitIn { emits, expect, put } = records::read_commit(commit)?;
            let mut events = Vec::with_capacity(emits.len());
            for emit in emits {
                events.push((emit, entropy::bytes().map_err(|_| no_entropy())?));
            }
            let (ticket, promise) = self.driver.ticket();
            self.driver.engine.borrow_mut().commit(ticket, &events, expect, put, now());
            self.driver.drain_later();
            Ok(promise)
        })
    }

    /// The records of a collection, for reading.
    pub fn records(&self, collection: &JsValue) -> Result<Records, JsValue> {
        self.check_open()?;
        Records::of(&self.driver, collection)
    }

    /// Resolves with the city's verdict for an event, also after a reload.
    pub fn settled(&self, id: &JsValue, options: &JsValue) -> Promise {
        rejecting(|| {
            self.check_open()?;
            let id = read_id(id)?;
            let signal = if options.is_object() { get(options, "signal") } else { JsValue::UNDEFINED };
            let aborted = if signal.is_object() { get(&signal, "aborted").as_bool() } else { None };
            if aborted == Some(true) {
                return Err(given_up(&signal));
            }
            let (number, promise) = self.driver.await_verdict(id);
            if aborted.is_some() {
                let (driver, own) = (Rc::downgrade(&self.driver), signal.clone());
                // Freed by the browser with the signal; a wait that has ended ignores it.
                let aborts = sys::handler(move |_| {
                    if let Some(driver) = driver.upgrade() {
                        driver.end_wait(number, &Err(given_up(&own)));
                    }
                });
                sys::call(&signal, "addEventListener", &[&sys::text("abort"), &aborts.into_js_value()])?;
            }
            Ok(promise)
        })
    }

    /// The state at this moment.
    pub fn snapshot(&self) -> JsValue {
        self.driver.snapshot()
    }

    /// Calls the listener at once and after every change; returns the way to stop.
    #[wasm_bindgen(unchecked_return_type = "() => void")]
    pub fn subscribe(&self, listener: &JsValue) -> Result<Function, JsValue> {
        self.check_open()?;
        let number = self.driver.listen(Told::Snapshots, values::function(listener, "listener")?);
        sys::call_back(listener, &[&self.driver.snapshot()])?;
        Ok(self.stop(number))
    }

    /// Calls the listener with what is worth telling; returns the way to stop.
    #[wasm_bindgen(unchecked_return_type = "() => void")]
    pub fn notices(&self, listener: &JsValue) -> Result<Function, JsValue> {
        self.check_open()?;
        let number = self.driver.listen(Told::Notices, values::function(listener, "listener")?);
        self.driver.tell_alarm();
        Ok(self.stop(number))
    }

    /// Calls the listener with each event the city says to this device; returns the way to stop.
    #[wasm_bindgen(unchecked_return_type = "() => void")]
    pub fn outcomes(&self, listener: &JsValue) -> Result<Function, JsValue> {
        self.check_open()?;
        let number = self.driver.listen(Told::Outcomes, values::function(listener, "listener")?);
        Ok(self.stop(number))
    }

    /// What the city said about one event, also after a reload.
    #[wasm_bindgen(js_name = outcomesOf)]
    pub fn outcomes_of(&self, id: &JsValue) -> Promise {
        rejecting(|| {
            self.check_open()?;
            let id = read_id(id)?;
            Ok(self.driver.later(async move |driver| {
                let bodies = driver.store.answers_to(id).await.map_err(|fault| errors::of_store(&fault))?;
                Ok(values::array(&bodies, |body| values::outcome(body)))
            }))
        })
    }

    /// Events that are owed, in their order.
    pub fn owed(&self, limit: Option<u32>) -> Promise {
        self.driver.later(async move |driver| {
            driver.check_open()?;
            driver.owed(limit.unwrap_or(100)).await
        })
    }

    /// Dead letters that wait for a person, oldest first.
    #[wasm_bindgen(js_name = deadLetters)]
    pub fn dead_letters(&self, limit: Option<u32>) -> Promise {
        self.driver.later(async move |driver| {
            driver.check_open()?;
            let letters = driver.store.dead_letters(limit.unwrap_or(100)).await;
            let letters = letters.map_err(|fault| errors::of_store(&fault))?;
            Ok(values::array(&letters, values::dead_letter))
        })
    }

    /// Sends a dead letter again as a new event, which `payload` may correct.
    pub fn redrive(&self, sequence: f64, payload: JsValue) -> Promise {
        let payload =
            if payload.is_undefined() { Ok(None) } else { values::read_payload(&payload).map(Some) };
        self.decide(sequence, payload.map(Decision::Redrive))
    }

    /// Gives a dead letter up for good. Its intent stays closed.
    pub fn discard(&self, sequence: f64, reason: &JsValue) -> Promise {
        let decision = match reason.as_string().unwrap_or_default().trim() {
            "" => Err(error("bad-option", "Say why it is discarded: the reason is kept.", Retry::IsVain)),
            reason => Ok(Decision::Discard(reason.to_owned())),
        };
        self.decide(sequence, decision)
    }

    /// Stops sending, also across reloads.
    pub fn pause(&self) -> Promise {
        rejecting(|| self.set_paused(true))
    }

    /// Goes on sending.
    pub fn resume(&self) -> Promise {
        rejecting(|| self.set_paused(false))
    }

    /// A person says "send now": skips the wait once.
    pub fn flush(&self) {
        self.driver.flush();
    }

    /// A safe random key: the prefix, a dash and 26 letters that people do not mix up.
    #[wasm_bindgen(js_name = newKey)]
    pub fn new_key(&self, prefix: &JsValue) -> Result<String, JsValue> {
        // What is no text is no prefix, and without one it is no key.
        let mut key = prefix.as_string().map_or_else(|| " ".to_owned(), |prefix| format!("{prefix}-"));
        let length = key.len() + KEY_RANDOM_LETTERS;
        while key.len() < length {
            let bytes: [u8; 32] = entropy::bytes().map_err(|_| no_entropy())?;
            // 240 is the highest multiple of 30 in a byte: beyond it letters would not be equally likely.
            for byte in bytes.iter().filter(|byte| **byte < 240).take(length - key.len()) {
                let letter = KEY_LETTERS.get(usize::from(*byte % 30)).copied().unwrap_or(b'2');
                key.push(char::from(letter));
            }
        }
        match Key::parse(&key) {
            Ok(_) => Ok(key),
            Err(_) => Err(error(
                "bad-key",
                "The prefix must be printable ASCII without spaces and without personal data.",
                Retry::IsVain,
            )),
        }
    }

    /// Stops everything of this page, once what was begun on disk has ended. What is owed stays there.
    pub fn close(&self) -> Promise {
        self.driver.close()
    }
}

impl Edge {
    async fn opened(options: &JsValue) -> Result<Self, JsValue> {
        let Choice { setup, device, feed, refused } = read_options(options)?;
        let seen = canary::seen(&setup.database);
        let opened = Store::open(&setup.database, &device).await;
        let (store, opened) = opened.map_err(|fault| errors::of_store(&fault))?;
        let identity = Identity { device, incarnation: store.life().to_owned() };
        let seed = entropy::bytes().map_err(|_| no_entropy())?;
        let mut engine = Engine::new(identity, u64::from_be_bytes(seed));
        match refused {
            Some(refused) => engine.speak_single(refused),
            None if feed => engine.listen(),
            None => {}
        }
        let driver = Driver::new(engine, store, setup);
        driver.start(opened, seen);
        Ok(Self { driver })
    }

    fn check_open(&self) -> Result<(), JsValue> {
        self.driver.check_open()
    }

    fn decide(&self, sequence: f64, decision: Result<Decision, JsValue>) -> Promise {
        self.driver.later(async move |driver| {
            driver.check_open()?;
            let decision = decision?;
            let letter = open_letter(&driver, sequence).await?;
            // It may have been closed while we looked.
            driver.check_open()?;
            decision.take(&driver, &letter)
        })
    }

    fn set_paused(&self, paused: bool) -> Result<Promise, JsValue> {
        self.check_open()?;
        let (ticket, promise) = self.driver.ticket();
        self.driver.engine.borrow_mut().pause(ticket, paused, now());
        self.driver.drain_later();
        Ok(promise)
    }

    fn stop(&self, number: u64) -> Function {
        let driver = Rc::downgrade(&self.driver);
        let stop = sys::handler(move |_| {
            if let Some(driver) = driver.upgrade() {
                driver.forget_listener(number);
            }
        });
        stop.into_js_value().unchecked_into()
    }
}

/// A mistake of the caller rejects the promise; nothing is thrown past it.
fn rejecting(work: impl FnOnce() -> Result<Promise, JsValue>) -> Promise {
    work().unwrap_or_else(|error| ended(&Err(error)))
}

/// What a person decides about a dead letter.
enum Decision {
    /// Send it again, perhaps with this payload.
    Redrive(Option<String>),
    /// Give it up, for this reason.
    Discard(String),
}

impl Decision {
    fn take(self, driver: &Rc<Driver>, letter: &DeadLetter) -> Outcome {
        let promise = match self {
            Self::Redrive(payload) => {
                let bytes = entropy::bytes().map_err(|_| no_entropy())?;
                let (ticket, promise) = driver.ticket();
                driver.engine.borrow_mut().redrive(ticket, letter, payload, now(), bytes);
                promise
            }
            Self::Discard(reason) => {
                let id = Stored::read(&letter.body).map(|event| event.id).ok_or_else(|| {
                    error("not-redrivable", "This dead letter cannot be read any more.", Retry::IsVain)
                })?;
                let (ticket, promise) = driver.ticket();
                driver.engine.borrow_mut().discard(ticket, letter.row.sequence, id, &reason, now());
                promise
            }
        };
        driver.drain_later();
        Ok(promise.into())
    }
}

fn given_up(signal: &JsValue) -> JsValue {
    errors::error_caused("aborted", "The wait was given up.", Retry::Helps, &get(signal, "reason"))
}

fn read_id(id: &JsValue) -> Result<EventId, JsValue> {
    id.as_string()
        .and_then(|id| EventId::parse(&id))
        .ok_or_else(|| error("not-found", "This is not an event id: take it from a receipt.", Retry::IsVain))
}

fn no_entropy() -> JsValue {
    error("fault", "This browser has no crypto.getRandomValues.", Retry::IsVain)
}

async fn open_letter(driver: &Rc<Driver>, sequence: f64) -> Result<DeadLetter, JsValue> {
    let missing = || error("not-found", "There is no open dead letter with this sequence.", Retry::IsVain);
    if sequence.fract() != 0.0 || !(1.0..=SAFE_INTEGER_MAX as f64).contains(&sequence) {
        return Err(missing());
    }
    let found = driver.store.dead_letter(Sequence(sequence as u64)).await;
    found.map_err(|fault| errors::of_store(&fault))?.ok_or_else(missing)
}

/// What the page chose.
struct Choice {
    setup: Setup,
    device: Device,
    /// Whether it listens to the city's feed.
    feed: bool,
    /// For a server that knows nothing of us: the statuses by which it refuses.
    refused: Option<Vec<u16>>,
}

fn read_options(value: &JsValue) -> Result<Choice, JsValue> {
    let wrong = |text: &str| error("bad-option", text, Retry::IsVain);
    if !value.is_object() {
        return Err(wrong("Edge.open takes one object: { city, device }."));
    }
    values::only(value, &OPTIONS)?;
    let (city, single) = match (get(value, "city").as_string(), get(value, "single").as_string()) {
        (Some(city), None) if is_address(&city) => (city.trim_end_matches(['/']).to_owned(), false),
        (None, Some(single)) if is_address(&single) => (single, true),
        _ => return Err(wrong("One of `city` and `single` must be an http(s) address or a path.")),
    };
    let refused = if single { Some(read_refused(&get(value, "refused"))?) } else { None };
    let device =
        get(value, "device").as_string().ok_or_else(|| wrong("`device` must be this device's name."))?;
    let device = Device::parse(&device)
        .map_err(|_| wrong("`device` is 1 to 64 of a-z, 0-9 and -, for example \"gate-n1\"."))?;
    let database = match get(value, "database") {
        name if name.is_undefined() => format!("conch-{device}"),
        name => name
            .as_string()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| wrong("`database` must be a name."))?,
    };
    let credentials = values::callback(value, "credentials")?;
    let apply = values::callback(value, "apply")?;
    let feed = get(value, "feed");
    let feed = feed.is_undefined() || feed.is_truthy();
    Ok(Choice { setup: Setup { city, single, credentials, database, apply }, device, feed, refused })
}

/// Absolute with http or https, or relative to the page.
fn is_address(text: &str) -> bool {
    let scheme = text.split(['/', '?', '#']).next().unwrap_or_default();
    // Browsers refuse a name and password in an address.
    !text.is_empty()
        && !text.contains(['@'])
        && (scheme.is_empty() || scheme == "http:" || scheme == "https:" || !scheme.contains([':']))
}

fn read_refused(value: &JsValue) -> Result<Vec<u16>, JsValue> {
    if value.is_undefined() {
        return Ok(REFUSED.to_vec());
    }
    let wrong =
        || error("bad-option", "`refused` must be a list of statuses from 400 to 499.", Retry::IsVain);
    if !sys::Array::is_array(value) {
        return Err(wrong());
    }
    let mut refused = Vec::new();
    for status in sys::items(value) {
        let status =
            status.as_f64().filter(|status| status.fract() == 0.0 && (400.0..500.0).contains(status));
        refused.push(status.ok_or_else(wrong)? as u16);
    }
    Ok(refused)
}
