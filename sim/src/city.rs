//! A city reduced to what the edge must get right: it remembers every id and intent, counts effects, refuses a stale
//! epoch, and says on each device's feed what became of its events.

use conch::event::json::Json;
use conch::event::{EventId, IntentKey, UnixMillis};
use conch::outbox::engine::Request;
use conch::pace::Jitter;
use conch::wire::classify::Reply;
use conch::wire::cloudevents::Envelope;
use conch::wire::headers;
use std::collections::BTreeMap;

/// Most events it takes in one request.
pub const OFFERED_EVENTS: usize = 20;
/// Most bytes it takes in one request.
pub const OFFERED_BYTES: usize = 65_536;
/// Events of one answer of the feed.
const FEED_PAGE: usize = 8;

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
    pub verdict: &'static str,
}

impl Taken {
    /// Whether it was refused.
    pub fn refused(&self) -> bool {
        self.verdict == "refused"
    }
}

/// One event of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its id.
    pub id: EventId,
    /// The event it answers.
    pub cause: EventId,
    /// Whether the city lost it before the device can have heard it for certain.
    pub lost: bool,
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
        let events: Vec<String> =
            again.chain(news.iter().copied().filter(kept)).chain(twin).map(text_of).collect();
        (format!(r#"{{"events":[{}],"cursor":"{cursor}"}}"#, events.join(",")), news.is_empty())
    }
}

fn text_of(said: &Said) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{}","source":"conch://city/c","type":"stall.note.v1.taken","causationid":"{}"}}"#,
        said.id, said.cause
    )
}

/// How the city answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// At once.
    Now(Reply),
    /// The question waits for news, with the feed's answer until then.
    WhenThereIsNews(Reply),
}

/// The city.
#[derive(Debug)]
pub struct City {
    /// Everything judged, by id.
    pub judged: BTreeMap<EventId, Taken>,
    /// The order of judging.
    pub order: Vec<EventId>,
    /// How often each intent had its effect.
    pub effects: BTreeMap<IntentKey, u32>,
    /// What it says to each device.
    pub feeds: Vec<Feed>,
    epochs: BTreeMap<String, u64>,
    chance: Jitter,
    /// What its clock shows.
    pub clock: UnixMillis,
}

impl City {
    /// A city for so many devices.
    pub fn new(devices: usize, seed: u64) -> Self {
        Self {
            judged: BTreeMap::new(),
            order: Vec::new(),
            effects: BTreeMap::new(),
            feeds: vec![Feed::default(); devices],
            epochs: BTreeMap::new(),
            chance: Jitter::new(!seed),
            clock: UnixMillis(0),
        }
    }

    /// Answers a request of a device that is no question for its feed.
    pub fn answer(&mut self, device: usize, request: &Request, mood: Mood) -> Reply {
        match (mood, request.path.as_str()) {
            (Mood::Overloaded, _) => self.reply(429, Some("2"), String::new()),
            (Mood::Distrustful, _) => self.reply(401, None, String::new()),
            (_, "/v1/edge") => {
                let offer = format!(
                    r#"{{"city":"c","batch":{{"maxEvents":{OFFERED_EVENTS},"maxBytes":{OFFERED_BYTES}}},"pace":{{"windowMs":0}}}}"#
                );
                self.reply(200, None, offer)
            }
            (Mood::Failing, _) => self.reply(500, None, String::new()),
            (Mood::Busy, _) => self.reply(409, Some("1"), String::new()),
            _ => self.take(device, request, mood == Mood::Forgetful),
        }
    }

    fn take(&mut self, device: usize, request: &Request, forgetful: bool) -> Reply {
        let Some(Ok(body)) = request.body.as_deref().map(Json::parse) else { return self.unreadable() };
        let list = match body {
            Json::Array(list) => list,
            single => vec![single],
        };
        let source = list.first().and_then(|event| event.get("source")?.as_text()).unwrap_or_default();
        if !self.enter(source, request) {
            return self.reply(409, Some("1"), String::new());
        }
        // Poison spoils the whole request, so that the edge must find it.
        if list.iter().any(|event| event.get("data").and_then(|data| data.get("poison")).is_some()) {
            return self.unreadable();
        }
        let verdicts: Vec<String> = list
            .iter()
            .enumerate()
            .filter_map(|(place, event)| match place % 4 {
                0 if forgetful => self.judge(device, event).filter(|_| list.len() > 1 && place > 0),
                1 if forgetful => said_to(event, "retry"),
                2 if forgetful => said_to(event, "hold"),
                _ => self.judge(device, event),
            })
            .collect();
        let answer = format!(r#"{{"verdicts":[{}],"pace":{{"windowMs":0}}}}"#, verdicts.join(","));
        self.reply(200, None, answer)
    }

    /// Lets a context speak for its outbox, unless a later one has spoken.
    fn enter(&mut self, source: &str, request: &Request) -> bool {
        let said = request.headers.iter().find(|(name, _)| *name == headers::EPOCH);
        let epoch = said.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let highest = self.epochs.entry(source.to_owned()).or_insert(epoch);
        *highest = epoch.max(*highest);
        epoch == *highest
    }

    fn judge(&mut self, device: usize, event: &Json) -> Option<String> {
        let envelope = Envelope::read(event).ok()?;
        let id = envelope.id;
        if let Some(taken) = self.judged.get(&id) {
            return Some(word(id, taken.verdict));
        }
        let reason = envelope.data.get("reason").and_then(Json::as_text);
        let refused = envelope.data.get("refuse").is_some() || reason == Some("refuse");
        let verdict = match self.effects.get(&envelope.intent) {
            _ if refused => "refused",
            Some(_) => "duplicate",
            None => "accepted",
        };
        if verdict == "accepted" {
            *self.effects.entry(envelope.intent).or_insert(0) += 1;
        }
        if !refused {
            self.tell(device, id);
        }
        self.order.push(id);
        let (source, key) = (envelope.source, envelope.key.as_str().to_owned());
        self.judged.insert(id, Taken { source, key, intent: envelope.intent, verdict });
        Some(word(id, verdict))
    }

    fn tell(&mut self, device: usize, cause: EventId) {
        let bits = (self.chance.next_bits().to_be_bytes(), self.chance.next_bits().to_be_bytes());
        let mut entropy = [0; 10];
        for (to, from) in entropy.iter_mut().zip(bits.0.into_iter().chain(bits.1)) {
            *to = from;
        }
        let id = EventId::mint(self.clock, entropy);
        if let Some(feed) = self.feeds.get_mut(device) {
            feed.said.push(Said { id, cause, lost: false });
        }
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
            city: Some("c".to_owned()),
            retry_after: retry_after.map(str::to_owned),
            date: Some(self.clock),
            body,
            html: false,
        }
    }
}

/// A verdict without judging.
fn said_to(event: &Json, verdict: &str) -> Option<String> {
    Some(word(EventId::parse(event.get("id")?.as_text()?)?, verdict))
}

fn word(id: EventId, verdict: &str) -> String {
    format!(r#"{{"id":"{id}","verdict":"{verdict}"}}"#)
}
