//! The city of the world: the decisions of `city-domain` over its books in memory, with the bus, the services, the
//! acquirer's ledger and the alerts, behind the requests a device makes. What happens in one transaction happens whole or
//! not at all, also when the city is killed in it.
//!
//! What the oracle is shown ([`City::judged`], [`City::order`], [`City::effects`]) is what was committed.

use crate::bug::Bug;
use crate::oracle::Broken;
use acquirer::{Ledger, Outcome, Task};
use city_domain::bus::{BusTx, Consumer, Lease, PARTITIONS, Subscription, Turn};
use city_domain::bus::{carried, due, enlist, errands, hold, relay, take_up, tick};
use city_domain::clones::{self, Heard};
use city_domain::{
    Answer as Word, Begun, Books, Call, Civic, Digests, Examined, Fault, Hold, Judged, Listed, Memory,
    Movement, Noted, Owed, Plan as Circuits, Power, Principal, RefundDecision, RefundState, Refunds,
    Request as Asked, Role, Rules, Service, Wish,
};
use city_domain::{
    answered, authorize, decide_refund, enter, hand_out, ingest, limits, note, settle, standing,
};
use conch::event::json::Json;
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use conch::outbox::engine::Request;
use conch::pace::Jitter;
use conch::wire::classify::Reply;
use conch::wire::cloudevents::Envelope;
use conch::wire::{VerdictWord, headers};
use std::collections::{BTreeMap, BTreeSet};

/// Most events it takes in one request.
pub const OFFERED_EVENTS: usize = 20;
/// Most bytes it takes in one request.
pub const OFFERED_BYTES: usize = 65_536;
/// Events of one answer of the feed.
const FEED_PAGE: usize = 8;
/// Who carries alerts out.
const ALERTS: &str = "alerts-webhook";
/// Most of anything that one turn does at once.
const MOST: usize = 64;
/// Circuits of the market, with the tills that hang on them.
const CIRCUITS: &str = r#"[{"circuit":"c1","limitWatts":3000,"stalls":{"till-0":1,"till-1":5}},{"circuit":"c2","limitWatts":2000}]"#;

/// What the city is like right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It works.
    Well,
    /// 429 with a Retry-After.
    Overloaded,
    /// 500.
    Failing,
    /// 401.
    Distrustful,
    /// 409, still at it.
    Busy,
    /// It leaves verdicts out, and says `retry` and `hold` to some.
    Forgetful,
}

/// Every mood.
pub const MOODS: [Mood; 6] =
    [Mood::Well, Mood::Overloaded, Mood::Failing, Mood::Distrustful, Mood::Busy, Mood::Forgetful];

/// One event as the city took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The source.
    pub source: String,
    /// The key.
    pub key: String,
    /// The intent.
    pub intent: IntentKey,
    /// The verdict, which is the same whenever the event comes again.
    pub verdict: VerdictWord,
}

impl Taken {
    /// Whether it was refused.
    pub fn refused(&self) -> bool {
        self.verdict == VerdictWord::Refused
    }
}

/// An intent, and where it must be the only one: on one device, or in the whole market.
pub type Meaning = (String, IntentKey);

/// One event of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its id.
    pub id: EventId,
    /// The event it answers, if any.
    pub cause: Option<EventId>,
    /// Whether the city lost it before the device can have heard it for certain.
    pub lost: bool,
    body: String,
}

/// What the city says to one device.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Rises when the city loses its place: older cursors are gone.
    generation: u64,
    /// All of it, in order.
    pub said: Vec<Said>,
}

impl Feed {
    /// How many of its events a cursor of this generation has behind it; none for a cursor that is gone.
    pub fn behind(&self, cursor: &str) -> Option<usize> {
        if cursor.is_empty() {
            return Some(0);
        }
        let (generation, behind) = cursor.strip_prefix('g')?.split_once('.')?;
        let behind: usize = behind.parse().ok()?;
        (generation.parse() == Ok(self.generation) && behind <= self.said.len()).then_some(behind)
    }

    /// The city forgets its oldest so many, and where everybody stood.
    pub fn start_over(&mut self, forgotten: usize) {
        self.generation += 1;
        self.said.iter_mut().take(forgotten).for_each(|said| said.lost = true);
    }

    fn page(&self, behind: usize, repeats: bool) -> (String, bool) {
        let kept = |said: &&Said| !said.lost;
        let skipped = self.said.iter().skip(behind).take_while(|said| said.lost).count();
        let from = behind + skipped;
        let news: Vec<&Said> = self.said.iter().skip(from).take(FEED_PAGE).collect();
        let cursor = format!("g{}.{}", self.generation, from + news.len());
        // At least once: what it said before may come along, and what it says may come twice.
        let again = self.said.iter().take(from).rev().filter(kept).take(if repeats { 2 } else { 0 });
        let twin = news.first().copied().filter(|_| repeats);
        let events: Vec<&str> = again
            .chain(news.iter().copied().filter(kept))
            .chain(twin)
            .map(|said| said.body.as_str())
            .collect();
        (format!(r#"{{"events":[{}],"cursor":"{cursor}"}}"#, events.join(",")), news.is_empty())
    }
}

/// How the city answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// At once.
    Now(Reply),
    /// The question waits for news, with the feed's answer until then.
    WhenThereIsNews(Reply),
    /// It was killed while it worked: nothing comes back.
    Never,
}

/// What happens to one call on its way to the acquirer and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Luck {
    /// It never arrives.
    pub lose_request: bool,
    /// It is done, and nobody hears of it.
    pub lose_answer: bool,
    /// It is refused.
    pub decline: bool,
    /// A capture takes the money twice.
    pub double: bool,
}

/// What a turn of the bus leaves to do.
#[derive(Debug, Default)]
pub struct Turned {
    /// What the acquirer is to be asked.
    pub calls: Vec<Call>,
    /// When there is work next; at once when that is past.
    pub next: Option<UnixMillis>,
    /// Whether the city was killed in it.
    pub killed: bool,
}

/// The writes after which the city is killed, if it is.
pub type Blow = Option<u64>;

/// Why a transaction left nothing behind.
enum Ended {
    Killed,
    Broken(Broken),
}

/// The city.
pub struct City {
    city: city_domain::City,
    books: Memory,
    services: Vec<Box<dyn Consumer>>,
    ledger: Ledger,
    /// Everything judged, by id.
    pub judged: BTreeMap<EventId, Taken>,
    /// The order of judging.
    pub order: Vec<EventId>,
    /// How often each intent had its effect.
    pub effects: BTreeMap<Meaning, u32>,
    /// What it says to each device.
    pub feeds: Vec<Feed>,
    principals: Vec<Principal>,
    chance: Jitter,
    jitter: Jitter,
    /// What its clock shows.
    pub clock: UnixMillis,
    /// Rises when it is killed, so that answers to an earlier life are dropped.
    pub life: u64,
    /// It is not there before.
    pub down_until: UnixMillis,
    /// What the acquirer is being asked in this life.
    asking: BTreeSet<String>,
    /// Whether this life has begun its work.
    begun: bool,
    /// What a person would read in the log.
    troubles: Vec<String>,
    bug: Option<Bug>,
}

impl City {
    /// A city for so many devices.
    pub fn new(principals: Vec<Principal>, seed: u64, bug: Option<Bug>) -> Result<Self, Broken> {
        let plan = Circuits::read(CIRCUITS)?;
        let ledger = Ledger::open(None).map_err(|problem| format!("the ledger: {problem}"))?;
        Ok(Self {
            city: city_domain::City { id: EventId::mint(UnixMillis(0), [7; 10]) },
            books: Memory::default(),
            services: vec![
                Box::new(Civic { rules: Rules::default() }),
                Box::new(Power { plan }),
                Box::new(Refunds),
                Box::new(Digests),
            ],
            ledger,
            judged: BTreeMap::new(),
            order: Vec::new(),
            effects: BTreeMap::new(),
            feeds: vec![Feed::default(); principals.len()],
            principals,
            chance: Jitter::new(!seed),
            jitter: Jitter::new(seed ^ 0x5bd1_e995),
            clock: UnixMillis(0),
            life: 0,
            down_until: UnixMillis(0),
            asking: BTreeSet::new(),
            begun: false,
            troubles: Vec::new(),
            bug,
        })
    }

    /// Whether it can be reached.
    pub fn is_up(&self) -> bool {
        self.clock >= self.down_until
    }

    /// It is killed, and started again at that time.
    pub fn kill(&mut self, until: UnixMillis) {
        self.life += 1;
        self.down_until = until;
        self.asking.clear();
        self.begun = false;
    }

    /// What a person would read in the log since the last question.
    pub fn troubles(&mut self) -> Vec<String> {
        core::mem::take(&mut self.troubles)
    }

    // Transactions.

    /// Does work that is durable as a whole, or leaves nothing behind.
    fn transact<T>(
        &mut self,
        blow: Blow,
        work: impl FnOnce(&mut Memory, &mut Turn<'_>) -> Result<T, Fault>,
    ) -> Result<T, Ended> {
        let before = blow.map(|_| self.books.clone());
        self.books.fail_after(blow);
        let chance = &mut self.chance;
        let mut entropy = || drawn(chance);
        let mut turn = Turn::new(&self.city, self.clock, &mut entropy, &mut self.jitter);
        let done = work(&mut self.books, &mut turn);
        self.troubles.extend(turn.troubles);
        self.books.fail_after(None);
        match (done, before) {
            (Ok(value), _) => {
                self.tell();
                Ok(value)
            }
            (Err(_), Some(_)) if self.bug == Some(Bug::TornCity) => Err(Ended::Killed),
            (Err(_), Some(before)) => {
                self.books = before;
                Err(Ended::Killed)
            }
            (Err(fault), None) => Err(Ended::Broken(format!("storage: {}", fault.0))),
        }
    }

    /// What was committed is on the feeds.
    fn tell(&mut self) {
        for (principal, feed) in self.principals.iter().zip(&mut self.feeds) {
            for event in self.books.feed(&principal.device).iter().skip(feed.said.len()) {
                let read = Json::parse(&event.body).ok();
                let cause = read.as_ref().and_then(|read| EventId::parse(read.text("causationid")?));
                feed.said.push(Said { id: event.id, cause, lost: false, body: event.body.clone() });
            }
        }
    }

    // Requests.

    /// Answers a request of a device that is no question for its feed. `None` when it was killed while it worked.
    pub fn answer(
        &mut self,
        device: usize,
        request: &Request,
        mood: Mood,
        blow: Blow,
    ) -> Result<Option<Reply>, Broken> {
        Ok(Some(match (mood, request.path.as_str()) {
            (Mood::Overloaded, _) => self.reply(429, Some("2"), String::new()),
            (Mood::Distrustful, _) => self.reply(401, None, String::new()),
            (_, "/v1/edge") => {
                let city = self.city.id;
                let offer = format!(
                    r#"{{"city":"{city}","batch":{{"maxEvents":{OFFERED_EVENTS},"maxBytes":{OFFERED_BYTES}}},"pace":{{"windowMs":0}}}}"#
                );
                self.reply(200, None, offer)
            }
            (Mood::Failing, _) => self.reply(500, None, String::new()),
            (Mood::Busy, _) => self.reply(409, Some("1"), String::new()),
            _ => return self.take(device, request, mood == Mood::Forgetful, blow),
        }))
    }

    fn take(
        &mut self,
        device: usize,
        request: &Request,
        forgetful: bool,
        blow: Blow,
    ) -> Result<Option<Reply>, Broken> {
        let Some(Ok(body)) = request.body.as_deref().map(Json::parse) else {
            return Ok(Some(self.unreadable()));
        };
        let list = match body {
            Json::Array(list) => list,
            single => vec![single],
        };
        // Something on the way chokes on such an event, and on all that come with it: the edge must find it.
        if list.iter().any(|event| event.get("data").and_then(|data| data.get("poison")).is_some()) {
            return Ok(Some(self.unreadable()));
        }
        let Some(principal) = self.principals.get(device).cloned() else {
            return Ok(Some(self.reply(401, None, String::new())));
        };
        let events: Option<Vec<Examined>> =
            list.iter().map(|event| Examined::read(event, &principal)).collect();
        let Some(events) = events else { return Ok(Some(self.unreadable())) };
        let whole = |place: usize| match place % 4 {
            0 if forgetful => (list.len() > 1 && place > 0).then_some(None),
            1 if forgetful => Some(Some("retry")),
            2 if forgetful => Some(Some("hold")),
            _ => Some(None),
        };
        let head = Head::read(request);
        let asked = Asked { principal, received: self.clock, sent_at: head.sent_at, window_ms: 0 };
        let judging: Vec<&Examined> = events
            .iter()
            .enumerate()
            .filter(|(place, _)| whole(*place) == Some(None))
            .map(|(_, own)| own)
            .collect();
        let all: Vec<&Examined> = events.iter().collect();
        let mut unsaved = Vec::new();
        let done = self.transact(blow, |books, turn| {
            deliver(books, turn, &asked, &head, (&all, &judging), &mut unsaved)
        });
        let judged = match done {
            Ok(Some(judged)) => judged,
            Ok(None) => return Ok(Some(self.reply(409, Some("1"), String::new()))),
            // The answer leaves before the commit: somebody is told of what is gone.
            Err(Ended::Killed) if self.bug == Some(Bug::AckBeforeCommit) => {
                let said: Vec<String> = unsaved.iter().map(said_of).collect();
                return Ok(Some(self.verdicts(&said)));
            }
            Err(Ended::Killed) => return Ok(None),
            Err(Ended::Broken(broken)) => return Err(broken),
        };
        for (own, event) in list.iter().filter_map(|event| {
            let id = EventId::parse(event.text("id")?)?;
            Some((judged.iter().find(|own| own.verdict.id == id)?, event))
        }) {
            self.note(&asked.principal, own, event)?;
        }
        let said = events.iter().enumerate().filter_map(|(place, event)| match whole(place)? {
            Some(word) => Some(format!(r#"{{"id":"{}","verdict":"{word}"}}"#, event.id())),
            None => judged.iter().find(|own| own.verdict.id == event.id()).map(said_of),
        });
        let said: Vec<String> = said.collect();
        Ok(Some(self.verdicts(&said)))
    }

    /// What was committed is shown to the oracle.
    fn note(&mut self, principal: &Principal, judged: &Judged, event: &Json) -> Result<(), Broken> {
        let (id, word) = (judged.verdict.id, judged.verdict.word);
        let Ok(Envelope { source, key, intent, topic, .. }) = Envelope::read(event) else { return Ok(()) };
        if let Some(before) = self.judged.get(&id) {
            return match before.verdict == word {
                true => Ok(()),
                false => Err(format!("settle-in-one: {id} was {:?}, and is {word:?} now", before.verdict)),
            };
        }
        let market = topic.family() == "pay.txn";
        let scope = if market { String::new() } else { principal.device.as_str().to_owned() };
        let meaning = (scope, intent);
        match word {
            VerdictWord::Accepted => *self.effects.entry(meaning).or_insert(0) += 1,
            VerdictWord::Duplicate if !self.effects.contains_key(&meaning) => {
                return Err(format!("effect: {intent} is called a duplicate and never had its effect"));
            }
            _ => {}
        }
        self.order.push(id);
        self.judged.insert(id, Taken { source, key: key.as_str().to_owned(), intent, verdict: word });
        Ok(())
    }

    fn verdicts(&self, said: &[String]) -> Reply {
        let answer = format!(r#"{{"verdicts":[{}],"pace":{{"windowMs":0}}}}"#, said.join(","));
        self.reply(200, None, answer)
    }

    /// Answers a question for the feed.
    pub fn say(&self, device: usize, question: &str, mood: Mood, repeats: bool) -> Answer {
        match mood {
            Mood::Overloaded => return Answer::Now(self.reply(429, Some("2"), String::new())),
            Mood::Failing => return Answer::Now(self.reply(500, None, String::new())),
            Mood::Distrustful => return Answer::Now(self.reply(401, None, String::new())),
            _ => {}
        }
        let cursor = question.split('&').find_map(|part| part.strip_prefix("after=")).unwrap_or_default();
        let page = self.feeds.get(device).and_then(|feed| Some(feed.page(feed.behind(cursor)?, repeats)));
        match page {
            Some((page, true)) => Answer::WhenThereIsNews(self.reply(200, None, page)),
            Some((page, false)) => Answer::Now(self.reply(200, None, page)),
            None => Answer::Now(self.reply(410, None, String::new())),
        }
    }

    fn unreadable(&self) -> Reply {
        let problem = r#"{"type":"urn:conch:problem:unreadable","title":"Unreadable","status":400}"#;
        self.reply(400, None, problem.to_owned())
    }

    fn reply(&self, status: u16, retry_after: Option<&str>, body: String) -> Reply {
        Reply::Http {
            status,
            city: Some(self.city.id.to_string()),
            retry_after: retry_after.map(str::to_owned),
            date: Some(self.clock),
            body,
            html: false,
        }
    }

    // The bus and the acquirer.

    /// One turn of the bus: what was said goes onto the log, and from there to the services.
    pub fn turn(&mut self, blow: Blow) -> Result<Turned, Broken> {
        if let Some(killed) = self.planted(blow)? {
            return Ok(killed);
        }
        let services = core::mem::take(&mut self.services);
        let (asking, begun, holder) = (self.asking.clone(), self.begun, self.city.id.to_string());
        let done = self.transact(blow, |books, turn| {
            if let Lease::Theirs(until) = hold(books, "bus", &holder, turn.now)? {
                return Ok((Vec::new(), Vec::new(), Some(until)));
            }
            if !begun {
                books.recall_operations(turn.now)?;
            }
            for partition in books.said_in()? {
                relay(books, partition, MOST, turn.now)?;
            }
            let mut next = None;
            for service in &services {
                for partition in 0..PARTITIONS {
                    take_up(books, service.as_ref(), partition, MOST, turn)?;
                }
                due(books, service.as_ref(), MOST, turn)?;
                let (_, clock) = tick(books, service.as_ref(), MOST, turn)?;
                next = earliest([next, books.next_due(service.name())?, clock]);
            }
            let raised: Vec<_> = Subscription::to("ops.alerts.*", &["raised"]).into_iter().collect();
            for partition in 0..PARTITIONS {
                enlist(books, ALERTS, &raised, partition, MOST, turn.now)?;
            }
            let alerts = errands(books, ALERTS, turn.now, MOST)?;
            let calls = hand_out(books, MOST, &|id| asking.contains(id), turn)?;
            let more = (!books.said_in()?.is_empty()).then_some(turn.now);
            Ok((calls, alerts, earliest([next, books.next_operation()?, more])))
        });
        self.services = services;
        let (calls, alerts, next) = match done {
            Ok(done) => done,
            Err(Ended::Killed) => return Ok(Turned { killed: true, ..Turned::default() }),
            Err(Ended::Broken(broken)) => return Err(broken),
        };
        self.begun = true;
        self.asking.extend(calls.iter().map(|call| call.operation.id.clone()));
        let mut next = next;
        for errand in alerts {
            // Whoever is told of alerts has outages too.
            let taken = self.chance.up_to(3) > 0;
            let carried = self.transact(None, |books, turn| carried(books, ALERTS, errand, taken, turn));
            if let Err(Ended::Broken(broken)) = carried {
                return Err(broken);
            }
            next = earliest([next, self.books.next_due(ALERTS).ok().flatten()]);
        }
        Ok(Turned { calls, next, killed: false })
    }

    /// The acquirer, and the line to it.
    pub fn acquirer(&mut self, call: &Call, luck: Luck) -> Result<Word, Broken> {
        let failed = |problem| format!("the ledger: {problem}");
        if luck.lose_request {
            return Ok(Word::Unknown);
        }
        let own = &call.operation;
        let anew = match (self.bug, own.service) {
            (Some(Bug::RefundAnew), Service::Refund) | (Some(Bug::CaptureAnew), Service::Capture) => {
                format!("#{}", own.tries)
            }
            _ => String::new(),
        };
        let id = format!("{}{anew}", own.id);
        let outcome = if call.query {
            self.ledger.query(&id).map_err(failed)?
        } else {
            let service = acquirer::Service::parse(own.service.as_str());
            let service = service.ok_or("books: the acquirer does not know this service")?;
            let task = Task {
                id,
                about: own.about.clone(),
                amount: own.amount,
                currency: own.currency.clone(),
                statement: own.statement.clone(),
            };
            let done = self.ledger.perform(service, &task, luck.decline, luck.double).map_err(failed)?;
            Some(done.ok_or_else(|| format!("books: {} stands for two things", own.id))?)
        };
        Ok(match outcome {
            _ if luck.lose_answer => Word::Unknown,
            None => Word::NotFound,
            Some(Outcome::Refused { reason }) => Word::Refused(reason),
            Some(Outcome::Done { reference, amount, currency }) => Word::Done { reference, amount, currency },
        })
    }

    /// The acquirer's answer comes back. Whether the city was killed while it took it.
    pub fn answered(&mut self, call: &Call, word: &Word, blow: Blow) -> Result<bool, Broken> {
        self.asking.remove(&call.operation.id);
        let id = call.operation.id.clone();
        ended(self.transact(blow, |books, turn| answered(books, &id, word, turn)))
    }

    /// The acquirer's own list is read. Whether the city was killed while it took it.
    pub fn settle(&mut self, blow: Blow) -> Result<bool, Broken> {
        let failed = |problem| format!("the ledger: {problem}");
        let up_to = Books::settled_up_to(&mut self.books).map_err(|fault| fault.0)?;
        let after = up_to.saturating_sub(limits::LIST_OVERLAP);
        let found = self.ledger.movements(after, 500).map_err(failed)?;
        let up_to = found.last().map_or(after, |last| last.number);
        let movements = found.into_iter().filter_map(|own| {
            Some(Movement {
                reference: own.reference,
                operation: own.id,
                service: Service::parse(&own.service)?,
                amount: own.amount,
                currency: own.currency,
            })
        });
        let listed = Listed { after, movements: movements.collect(), strange: Vec::new(), up_to };
        ended(self.transact(blow, |books, turn| settle(books, &listed, turn)))
    }

    /// A till asks for an amount to be held: the reference when it is, and whether the city was killed meanwhile.
    pub fn authorize(
        &mut self,
        device: usize,
        (order, amount): (&Key, u64),
        intent: IntentKey,
        (luck, blow): (Luck, Blow),
    ) -> Result<(Option<String>, bool), Broken> {
        let Some(device) = self.principals.get(device).map(|own| own.device.clone()) else {
            return Ok((None, false));
        };
        let wish = Wish { device, intent, order: order.clone(), amount, currency: "TWD".to_owned() };
        let begun = self.transact(None, |books, turn| {
            let entropy = (turn.entropy)();
            authorize(books, &wish, turn.now, entropy)
        });
        let known = match begun {
            Err(Ended::Broken(broken)) => return Err(broken),
            Err(Ended::Killed) => return Ok((None, true)),
            Ok(Begun::Call(call)) => {
                let word = self.acquirer(&call, luck)?;
                if self.answered(&call, &word, blow)? {
                    return Ok((None, true));
                }
                match self.transact(None, |books, turn| standing(books, &wish, turn.now)) {
                    Ok(known) => known,
                    Err(Ended::Killed) => None,
                    Err(Ended::Broken(broken)) => return Err(broken),
                }
            }
            Ok(Begun::Known(known)) => Some(known),
            Ok(Begun::KeyReused | Begun::AlreadyPaid | Begun::PaymentPending) => None,
        };
        Ok((known.filter(|own| own.hold == Hold::Authorized).map(|own| own.reference), false))
    }

    /// A person has every refund tried again that was refused too often.
    pub fn look_at_refunds(&mut self) -> Result<(), Broken> {
        let stuck: Vec<String> = (self.books.duplicates().filter(|own| own.state == RefundState::Stuck))
            .map(|own| own.txn_id.clone())
            .collect();
        for txn_id in stuck {
            let decided = self.transact(None, |books, turn| {
                let decided = decide_refund(books, &txn_id, RefundDecision::Retry, ("ops-1", "again"), turn);
                decided.map_err(|failure| Fault(format!("{failure:?}")))
            });
            match decided {
                Ok(Ok(_)) | Err(Ended::Killed) => {}
                Ok(Err(why)) => {
                    return Err(format!("refund-once: {txn_id} could not be tried again: {why:?}"));
                }
                Err(Ended::Broken(broken)) => return Err(broken),
            }
        }
        Ok(())
    }

    /// Its books, for the oracle.
    pub fn books(&mut self) -> &mut Memory {
        &mut self.books
    }

    /// The acquirer's ledger, for the oracle.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The services, for the oracle.
    pub fn services(&self) -> &[Box<dyn Consumer>] {
        &self.services
    }

    // Faults that are planted here.

    /// Two steps that belong into one transaction, and the city is killed between them.
    fn planted(&mut self, blow: Blow) -> Result<Option<Turned>, Broken> {
        if blow.is_none() {
            return Ok(None);
        }
        let wrong = |fault: Fault| fault.0;
        match self.bug {
            Some(Bug::RelayDropsFirst) => {
                for partition in self.books.said_in().map_err(wrong)? {
                    for (place, _) in self.books.outgoing(partition, 1).map_err(wrong)? {
                        self.books.drop_outgoing(partition, place).map_err(wrong)?;
                    }
                }
            }
            Some(Bug::CursorFirst) => {
                for partition in self.books.said_in().map_err(wrong)? {
                    relay(&mut self.books, partition, MOST, self.clock).map_err(wrong)?;
                }
                for service in &self.services {
                    for partition in 0..PARTITIONS {
                        let head = self.books.head(partition).map_err(wrong)?;
                        self.books.put_cursor(service.name(), partition, head).map_err(wrong)?;
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(Turned { killed: true, ..Turned::default() }))
    }
}

fn earliest<const N: usize>(times: [Option<UnixMillis>; N]) -> Option<UnixMillis> {
    times.into_iter().flatten().min()
}

fn ended(done: Result<(), Ended>) -> Result<bool, Broken> {
    match done {
        Ok(()) => Ok(false),
        Err(Ended::Killed) => Ok(true),
        Err(Ended::Broken(broken)) => Err(broken),
    }
}

/// Entropy of an id.
pub(crate) fn drawn(chance: &mut Jitter) -> [u8; 10] {
    let bits = (chance.next_bits().to_be_bytes(), chance.next_bits().to_be_bytes());
    let mut entropy = [0; 10];
    for (to, from) in entropy.iter_mut().zip(bits.0.into_iter().chain(bits.1)) {
        *to = from;
    }
    entropy
}

/// What a device says of its outbox.
struct Head {
    sent_at: Option<UnixMillis>,
    epoch: Option<u64>,
    owed: Option<Owed>,
    tombstones: Vec<u64>,
}

impl Head {
    fn read(request: &Request) -> Self {
        let said =
            |name| request.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        let number = |name| said(name).and_then(|value| value.parse::<u64>().ok());
        let tombstones = said(headers::TOMBSTONES).unwrap_or_default().split(',');
        Self {
            sent_at: number(headers::SENT_AT).map(UnixMillis),
            epoch: number(headers::EPOCH),
            owed: said(headers::OWED).and_then(Owed::parse),
            tombstones: tombstones.filter_map(|sequence| sequence.trim().parse().ok()).collect(),
        }
    }
}

/// One delivery, as the city's writer does it; `None` when a later context has spoken.
fn deliver(
    books: &mut Memory,
    turn: &mut Turn<'_>,
    asked: &Asked,
    head: &Head,
    (all, judging): (&[&Examined], &[&Examined]),
    unsaved: &mut Vec<Judged>,
) -> Result<Option<Vec<Judged>>, Fault> {
    let device = &asked.principal.device;
    let incarnation = all.iter().find_map(|event| event.incarnation()).unwrap_or_default();
    let events: Vec<(u64, EventId)> =
        all.iter().filter_map(|event| Some((event.sequence()?.0, event.id()))).collect();
    let Head { epoch, owed, .. } = *head;
    let heard = Heard { device, incarnation, epoch, owed, events: &events, now: turn.now };
    clones::watch(books, turn.city, &heard, turn.entropy)?;
    if let Some(epoch) = epoch
        && enter(books, device, incarnation, epoch)?.is_err()
    {
        return Ok(None);
    }
    let mut here = head.tombstones.clone();
    for event in judging {
        unsaved.push(ingest(books, turn.city, asked, event, turn.entropy)?);
        here.extend(event.sequence().map(|sequence| sequence.0));
    }
    if let Some(owed) = owed {
        let noted = Noted { device, incarnation, here: &here, owed, now: turn.now };
        note(books, turn.city, &noted, turn.entropy)?;
    }
    Ok(Some(unsaved.clone()))
}

fn said_of(judged: &Judged) -> String {
    let (id, word) = (judged.verdict.id, judged.verdict.word.as_str());
    let problem = judged.verdict.problem.as_ref();
    let problem = problem.map(|problem| format!(r#","problem":{}"#, problem.to_json()));
    format!(r#"{{"id":"{id}","verdict":"{word}"{}}}"#, problem.unwrap_or_default())
}

/// Who a device is in the market: one in three is a gate, the others are tills.
pub fn principal(index: usize) -> Option<Principal> {
    let (name, role) = if index % 3 == 2 { ("gate", Role::Gate) } else { ("till", Role::Vendor) };
    Some(Principal { device: Device::parse(&format!("{name}-{index}")).ok()?, role })
}
