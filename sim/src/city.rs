//! The city of the world: the decisions of `city-domain` over its books in memory, with the bus, the services, the
//! acquirer's ledger and the alerts, behind the requests a device makes. What happens in one transaction happens whole or
//! not at all, also when the city is killed in it.
//!
//! What the oracle is shown ([`City::judged`], [`City::order`], [`City::effects`]) is what was committed.

use crate::bug::Bug;
use crate::oracle::Broken;
use crate::sick::{Failed, Illness, Sick};
use crate::weather::Weather;
use acquirer::{Ledger, Outcome, Task};
use city_domain::bus::{ALERTS, BusTx, Consumer, Machine, Moved, Outside, PARTITIONS, Services, Turn};
use city_domain::bus::{carried, relay};
use city_domain::clones::{self, Heard};
use city_domain::{
    Answer as Word, Begun, Books, Call, Civic, Digests, Examined, Fault, Hold, Judged, Listed, Memory,
    Movement, Noted, Owed, Plan as Circuits, Power, Principal, RefundDecision, RefundState, Refunds,
    Request as Asked, Role, Rules, Service, Wish,
};
use city_domain::{answered, authorize, decide_refund, enter, ingest, limits, note, settle, standing};
use conch::event::json::Json;
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use conch::outbox::engine::Request;
use conch::pace::Jitter;
use conch::wire::classify::Reply;
use conch::wire::cloudevents::Envelope;
use conch::wire::{VerdictWord, headers};
use std::collections::BTreeMap;

/// Most events it takes in one request.
pub const OFFERED_EVENTS: usize = 20;
/// Most bytes it takes in one request.
pub const OFFERED_BYTES: usize = 65_536;
/// Events of one answer of the feed.
const FEED_PAGE: usize = 8;
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
    /// 403, 404, 408, 425 or 503, one after the other.
    Strange,
}

/// Every mood.
pub const MOODS: [Mood; 7] = [
    Mood::Well,
    Mood::Overloaded,
    Mood::Failing,
    Mood::Distrustful,
    Mood::Busy,
    Mood::Forgetful,
    Mood::Strange,
];

impl Mood {
    /// What a request meets in it.
    pub fn weather(self) -> Option<Weather> {
        match self {
            Self::Overloaded => Some(Weather::Overload),
            Self::Failing => Some(Weather::Failures),
            Self::Distrustful | Self::Busy | Self::Strange => Some(Weather::Refusals),
            Self::Well | Self::Forgetful => None,
        }
    }
}

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

    /// Where what is not lost begins behind so many.
    fn from(&self, behind: usize) -> usize {
        behind + self.said.iter().skip(behind).take_while(|said| said.lost).count()
    }

    fn page(&self, behind: usize, repeats: bool) -> (String, bool) {
        let kept = |said: &&Said| !said.lost;
        let from = self.from(behind);
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
    /// The bus and its services, in this life.
    machine: Option<Machine>,
    plan: Circuits,
    failed: Failed,
    ledger: Ledger,
    /// Everything judged, by id.
    pub judged: BTreeMap<EventId, Taken>,
    /// The order of judging.
    pub order: Vec<EventId>,
    /// How often each intent had its effect.
    pub effects: BTreeMap<Meaning, u32>,
    /// What it says to each device.
    pub feeds: Vec<Feed>,
    /// How many events of the books are on the feeds.
    told: u64,
    principals: Vec<Principal>,
    chance: Jitter,
    jitter: Jitter,
    /// What its clock shows.
    pub clock: UnixMillis,
    /// Rises when it is killed, so that answers to an earlier life are dropped.
    pub life: u64,
    /// It is not there before.
    pub down_until: UnixMillis,
    /// What a person would read in the log.
    troubles: Vec<String>,
    bug: Option<Bug>,
}

impl City {
    /// A city for so many devices.
    pub fn new(principals: Vec<Principal>, seed: u64, bug: Option<Bug>) -> Result<Self, Broken> {
        let plan = Circuits::read(CIRCUITS)?;
        let ledger = Ledger::open(None).map_err(|problem| format!("the ledger: {problem}"))?;
        let mut city = Self {
            city: city_domain::City { id: EventId::mint(UnixMillis(0), [7; 10]) },
            books: Memory::default(),
            machine: None,
            plan,
            failed: Failed::default(),
            ledger,
            judged: BTreeMap::new(),
            order: Vec::new(),
            effects: BTreeMap::new(),
            feeds: vec![Feed::default(); principals.len()],
            told: 0,
            principals,
            chance: Jitter::new(!seed),
            jitter: Jitter::new(seed ^ 0x5bd1_e995),
            clock: UnixMillis(0),
            life: 0,
            down_until: UnixMillis(0),
            troubles: Vec::new(),
            bug,
        };
        city.machine = Some(city.another_machine());
        Ok(city)
    }

    /// Whether it can be reached.
    pub fn is_up(&self) -> bool {
        self.clock >= self.down_until
    }

    fn another_machine(&self) -> Machine {
        let services: Services = vec![
            Box::new(Sick::with(Box::new(Civic { rules: Rules::default() }), &self.failed)),
            Box::new(Sick::with(Box::new(Power { plan: self.plan.clone() }), &self.failed)),
            Box::new(Refunds),
            Box::new(Digests),
        ];
        let outside = Outside { horn: true, cashier: true };
        Machine::new(services, outside, self.city.id.to_string(), self.clock)
    }

    /// It is killed, and started again at that time.
    pub fn kill(&mut self, until: UnixMillis) {
        self.life += 1;
        self.down_until = until;
        self.machine = Some(self.another_machine());
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
        self.books.fail_after(blow);
        let chance = &mut self.chance;
        let mut entropy = || drawn(chance);
        let mut turn = Turn::new(&self.city, self.clock, &mut entropy, &mut self.jitter);
        let done = match blow {
            Some(_) if self.bug != Some(Bug::TornCity) => self.books.whole(|books| work(books, &mut turn)),
            _ => work(&mut self.books, &mut turn),
        };
        self.troubles.extend(turn.troubles);
        self.books.fail_after(None);
        match (done, blow) {
            (Ok(value), _) => {
                self.tell();
                Ok(value)
            }
            (Err(_), Some(_)) => Err(Ended::Killed),
            (Err(fault), None) => Err(Ended::Broken(format!("storage: {}", fault.0))),
        }
    }

    /// What was committed is on the feeds.
    fn tell(&mut self) {
        // Most transactions say nothing to anybody.
        if core::mem::replace(&mut self.told, self.books.fed()) == self.books.fed() {
            return;
        }
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
            (Mood::Distrustful, _) => self.wants_credentials(),
            (Mood::Strange, _) => self.strange(request.number),
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
            Mood::Distrustful => return Answer::Now(self.wants_credentials()),
            Mood::Strange => return Answer::Now(self.strange(self.life)),
            _ => {}
        }
        let cursor = cursor_of(question);
        let page = self.feeds.get(device).and_then(|feed| Some(feed.page(feed.behind(cursor)?, repeats)));
        match page {
            Some((page, true)) => Answer::WhenThereIsNews(self.reply(200, None, page)),
            Some((page, false)) => Answer::Now(self.reply(200, None, page)),
            None => Answer::Now(self.reply(410, None, String::new())),
        }
    }

    /// Whether the city in its good mood has an answer to a question for the feed at once.
    pub fn has_news(&self, device: usize, question: &str) -> bool {
        let feed = self.feeds.get(device);
        let behind = feed.and_then(|feed| Some((feed, feed.behind(cursor_of(question))?)));
        behind.is_none_or(|(feed, behind)| feed.from(behind) < feed.said.len())
    }

    /// A body came too slowly.
    pub fn gave_up(&self) -> Reply {
        self.reply(408, None, String::new())
    }

    /// Whoever asks must come with other credentials.
    pub fn wants_credentials(&self) -> Reply {
        self.reply(401, None, String::new())
    }

    /// As if these events had been accepted. Planted faults say so.
    pub fn takes_all(&self, events: &[EventId]) -> Reply {
        let said: Vec<String> =
            events.iter().map(|id| format!(r#"{{"id":"{id}","verdict":"accepted"}}"#)).collect();
        self.verdicts(&said)
    }

    fn strange(&self, number: u64) -> Reply {
        match number % 5 {
            0 => self.reply(403, None, String::new()),
            1 => self.reply(404, None, String::new()),
            2 => self.gave_up(),
            3 => self.reply(425, None, String::new()),
            _ => self.reply(503, Some("3"), String::new()),
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
        let Some(mut machine) = self.machine.take() else { return Ok(Turned::default()) };
        let blocks = self.bug == Some(Bug::PoisonBlocks);
        let done = self.transact(blow, |books, turn| {
            let held = if blocks { held_up(books, &machine)? } else { Vec::new() };
            let moved = machine.turn(books, turn)?;
            for (service, partition, cursor) in held {
                books.put_cursor(service, partition, cursor)?;
            }
            Ok(moved)
        });
        if let Ok(moved) = &done {
            machine.ended(moved, self.clock);
        }
        self.machine = Some(machine);
        let Moved { errands, calls, more, mut next, .. } = match done {
            Ok(moved) => moved,
            Err(Ended::Killed) => return Ok(Turned { killed: true, ..Turned::default() }),
            Err(Ended::Broken(broken)) => return Err(broken),
        };
        if !more {
            self.nobody_waits_for_another()?;
        }
        next = earliest([next, more.then_some(self.clock)]);
        for errand in errands {
            // Whoever is told of alerts has outages too.
            let taken = self.chance.up_to(3) > 0;
            let own = errand.clone();
            let carried = self.transact(None, |books, turn| carried(books, ALERTS, own, taken, turn));
            if let Err(Ended::Broken(broken)) = carried {
                return Err(broken);
            }
            if let Some(machine) = &mut self.machine {
                machine.carried(&errand);
            }
            next = earliest([next, self.books.next_due(ALERTS).ok().flatten()]);
        }
        Ok(Turned { calls, next, killed: false })
    }

    /// served, after every turn: each service has taken up all there is, and only what it fails on waits for its time.
    fn nobody_waits_for_another(&mut self) -> Result<(), Broken> {
        let wrong = |fault: Fault| fault.0;
        for service in self.machine.iter().flat_map(Machine::services) {
            let name = service.name();
            for partition in 0..PARTITIONS {
                let behind = self.books.cursor(name, partition).map_err(wrong)?;
                if behind < self.books.head(partition).map_err(wrong)? {
                    return Err(format!("served: {name} goes no further than {partition}/{behind}"));
                }
            }
            for wait in self.books.due_waits(name, UnixMillis(u64::MAX), usize::MAX).map_err(wrong)? {
                let message = self.books.log_at(wait.partition, wait.offset).map_err(wrong)?;
                // What stood behind another of its key and was let go has not been tried yet.
                if wait.tries > 0 && message.is_none_or(|own| Illness::of(&own).is_none()) {
                    return Err(format!("served: {name} waits with {} for nothing", wait.key));
                }
            }
        }
        Ok(())
    }

    /// The relay puts some of what was said on the log, and is killed before it takes it from there. Whether there was any.
    pub fn publishes_only(&mut self, most: usize) -> Result<bool, Broken> {
        let again = self.bug == Some(Bug::RelayTwice);
        let done = self.transact(None, |books, turn| {
            let mut published = 0;
            for partition in books.said_in()? {
                for (_, mut message) in books.outgoing(partition, most)? {
                    if again {
                        // A log that does not know what lies on it.
                        message.source.push('#');
                    }
                    published += usize::from(books.append(&message, turn.now)?);
                }
            }
            Ok(published > 0)
        });
        match done {
            Ok(any) => Ok(any),
            Err(Ended::Killed) => Ok(false),
            Err(Ended::Broken(broken)) => Err(broken),
        }
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
        if let Some(machine) = &mut self.machine {
            machine.answered(call);
        }
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
    pub fn services(&self) -> &[Box<dyn Consumer + Send>] {
        self.machine.as_ref().map(Machine::services).unwrap_or_default()
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
                for service in self.machine.iter().flat_map(Machine::services) {
                    for partition in 0..PARTITIONS {
                        let head = self.books.head(partition).map_err(wrong)?;
                        self.books.put_cursor(service.name(), partition, head).map_err(wrong)?;
                    }
                }
            }
            Some(Bug::InboxAfterEffect) => {
                for partition in self.books.said_in().map_err(wrong)? {
                    relay(&mut self.books, partition, MOST, self.clock).map_err(wrong)?;
                }
                let chance = &mut self.chance;
                let mut entropy = || drawn(chance);
                let mut turn = Turn::new(&self.city, self.clock, &mut entropy, &mut self.jitter);
                for service in self.machine.iter().flat_map(Machine::services) {
                    let subscriptions = service.subscriptions();
                    for partition in 0..PARTITIONS {
                        let cursor = self.books.cursor(service.name(), partition).map_err(wrong)?;
                        for (_, message) in self.books.log_after(partition, cursor, MOST).map_err(wrong)? {
                            let message =
                                message.filter(|own| city_domain::bus::heard(&subscriptions, own).is_some());
                            if let Some(message) = message.filter(|own| Illness::of(own).is_none()) {
                                let _ = service.handle(&mut self.books, &message, &mut turn);
                            }
                        }
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(Turned { killed: true, ..Turned::default() }))
    }
}

/// Where each service stands in a partition in which something waits for it.
fn held_up(books: &mut Memory, machine: &Machine) -> Result<Vec<(&'static str, u16, u64)>, Fault> {
    let mut held = Vec::new();
    for service in machine.services() {
        for wait in books.due_waits(service.name(), UnixMillis(u64::MAX), usize::MAX)? {
            held.push((service.name(), wait.partition, books.cursor(service.name(), wait.partition)?));
        }
    }
    Ok(held)
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

fn cursor_of(question: &str) -> &str {
    question.split('&').find_map(|part| part.strip_prefix("after=")).unwrap_or_default()
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
