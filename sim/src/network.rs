//! The way to the city and back: lost, doubled, late, or answered by somebody else; and the feed's long polls.

use crate::bug::Bug;
use crate::city::{Answer, Mood};
use crate::oracle::Broken;
use crate::plan::Trouble;
use crate::weather::Weather;
use crate::world::{At, Poll, What, World};
use conch::event::EventId;
use conch::event::json::Json;
use conch::limits::FEED_WAIT_S;
use conch::outbox::engine::{Final, Input, Notice, Request};
use conch::wire::classify::Reply;

impl World {
    pub(crate) fn send(&mut self, at: At, mut request: Request) -> Result<(), Broken> {
        self.report.requests += 1;
        if self.plan.bug == Some(Bug::KeyAtSend) {
            self.new_key(at, &mut request)?;
        }
        let device = self.device(at.device)?;
        let (memory, disk) = device.known_to(at.tab);
        let ids = memory.sent(&request, disk)?;
        self.no_longer_ready(at.device, &ids)?;
        self.note_sent(at, request.number, ids)?;
        let number = request.number;
        self.tab(at)?.awaits.insert(number);
        let patience = What::Replies { number, reply: Reply::Timeout };
        self.schedule(self.now + request.timeout_ms, at, patience);
        let slow = self.strikes(Trouble::Net, 10);
        if slow {
            self.met(Weather::Tail);
        }
        let delay = 5 + self.chance.up_to(60) + if slow { self.chance.up_to(30_000) } else { 0 };
        let now = self.now;
        let freezes = self.strikes(Trouble::Freeze, 25);
        if freezes {
            let ms = 10_000 + self.chance.up_to(110_000);
            self.freezes(at.device, at.tab, ms)?;
        }
        if self.is_cut_off(at.device) {
            self.meets_dead_uplink(at, number);
            return Ok(());
        }
        if self.strikes(Trouble::Net, 6) {
            self.met(Weather::Loss);
            if self.one_in(2) {
                self.schedule(now + delay, at, What::Replies { number, reply: Reply::NoAnswer });
            }
            // It may still arrive, long after the device gave up.
            if self.one_in(2) {
                let request = Box::new(request);
                self.schedule(now + delay + 25_000, at, What::ReachesCity { request, answered: false });
            }
            return Ok(());
        }
        if self.strikes(Trouble::Net, 12) {
            self.met(Weather::Portal);
            let body = "<html>".to_owned();
            let reply =
                Reply::Http { status: 200, city: None, retry_after: None, date: None, body, html: false };
            self.schedule(now + 40, at, What::Replies { number, reply });
            return Ok(());
        }
        if self.strikes(Trouble::Slow, 12) && request.body.is_some() {
            self.trickles(at, request);
            return Ok(());
        }
        if self.strikes(Trouble::Net, 5) {
            self.met(Weather::Doubling);
            let (twin, later) = (Box::new(request.clone()), self.chance.up_to(10_000));
            self.schedule(now + delay + later, at, What::ReachesCity { request: twin, answered: false });
        }
        self.schedule(now + delay, at, What::ReachesCity { request: Box::new(request), answered: true });
        Ok(())
    }

    pub(crate) fn reaches_city(&mut self, at: At, request: &Request, answered: bool) -> Result<(), Broken> {
        self.change_mood();
        let mood = if self.bad() { self.mood } else { Mood::Well };
        let repeats = self.strikes(Trouble::Feed, 4);
        if self.is_cut_off(at.device) {
            return Ok(());
        }
        let own = self.device(at.device)?;
        let latest = own.arrived.get(&at).copied().unwrap_or(0);
        own.arrived.insert(at, latest.max(request.number));
        if latest > request.number {
            self.met(Weather::Reordering);
        }
        if !self.city.is_up() {
            if answered {
                self.goes_back(at, request.number, Reply::NoAnswer);
            }
            return Ok(());
        }
        if self.distrusted(at.device, request)? {
            if answered {
                let reply = self.city.wants_credentials();
                self.goes_back(at, request.number, reply);
            }
            return Ok(());
        }
        let said = self.city.feeds.get(at.device).map_or(0, |feed| feed.said.len());
        if let Some(weather) = mood.weather() {
            self.met(weather);
        }
        let answer = match request.path.strip_prefix("/v1/feed?") {
            Some(question) => self.city.say(at.device, question, mood, repeats),
            None => {
                let blow = self.blow(20);
                let reply = self.city.answer(at.device, request, mood, blow)?;
                if blow.is_some() {
                    self.city_dies();
                }
                match reply {
                    // Killed before the commit or behind it: nobody is answered.
                    Some(reply) if blow.is_none() || self.plan.bug == Some(Bug::AckBeforeCommit) => {
                        Answer::Now(reply)
                    }
                    _ => Answer::Never,
                }
            }
        };
        self.turn_in(5);
        if answered {
            match answer {
                Answer::Never => self.goes_back(at, request.number, Reply::NoAnswer),
                Answer::Now(reply) => self.goes_back(at, request.number, reply),
                Answer::WhenThereIsNews(_) => {
                    let question = request.path.strip_prefix("/v1/feed?").unwrap_or_default().to_owned();
                    self.polls.push(Poll { at, number: request.number, question });
                    let until = self.now + FEED_WAIT_S * 1_000;
                    self.schedule(until, at, What::PollEnds { number: request.number });
                }
            }
        }
        if self.city.feeds.get(at.device).map_or(0, |feed| feed.said.len()) > said {
            self.ring(at.device);
        }
        Ok(())
    }

    /// There is news for a device: whoever waits for it is answered.
    pub(crate) fn ring(&mut self, device: usize) {
        if !self.polls.iter().any(|poll| poll.at.device == device && self.has_news(poll)) {
            return;
        }
        let (waiting, others) =
            core::mem::take(&mut self.polls).into_iter().partition(|poll| poll.at.device == device);
        self.polls = others;
        let waiting: Vec<Poll> = waiting;
        for poll in waiting {
            self.answer_poll(&poll);
        }
    }

    pub(crate) fn has_news(&self, poll: &Poll) -> bool {
        self.city.has_news(poll.at.device, &poll.question)
    }

    pub(crate) fn poll_ends(&mut self, at: At, number: u64) -> Result<(), Broken> {
        let place = self.polls.iter().position(|poll| poll.at == at && poll.number == number);
        if let Some(place) = place {
            let poll = self.polls.swap_remove(place);
            self.answer_poll(&poll);
        }
        Ok(())
    }

    fn answer_poll(&mut self, poll: &Poll) {
        if let Answer::Now(reply) | Answer::WhenThereIsNews(reply) =
            self.city.say(poll.at.device, &poll.question, Mood::Well, false)
        {
            self.goes_back(poll.at, poll.number, reply);
        }
    }

    /// An answer on its way. One that is lost leaves the device to its own patience.
    fn goes_back(&mut self, at: At, number: u64, reply: Reply) {
        let lost = self.strikes(Trouble::Net, 6) || self.is_cut_off(at.device);
        let wait = 5 + self.chance.up_to(60) + self.drips();
        if lost {
            return self.met(if reply == Reply::NoAnswer { Weather::Loss } else { Weather::LostAnswer });
        }
        self.schedule(self.now + wait, at, What::Replies { number, reply });
    }

    /// The first end of a request is the only one: whoever gave up hears of no answer.
    pub(crate) fn replies(&mut self, at: At, number: u64, reply: Reply) -> Result<(), Broken> {
        if !self.tab(at)?.awaits.remove(&number) {
            return Ok(());
        }
        let status = if let Reply::Http { status, .. } = &reply { *status } else { 0 };
        self.tab(at)?.failed = status == 0 || status >= 400;
        self.trace(u64::from(status) ^ number << 16);
        let reply = match self.plan.bug {
            Some(Bug::DropsOn401 | Bug::EarlyWord | Bug::Overfull | Bug::DropsAsSent) => {
                self.misread(at, number, reply)?
            }
            _ => reply,
        };
        self.tell(at, Input::Replied { request: number, reply })
    }

    // Faults that are planted here.

    /// The id and the key are made anew for every try.
    fn new_key(&mut self, at: At, request: &mut Request) -> Result<(), Broken> {
        let Some(Ok(Json::Object(mut event))) = request.body.as_deref().map(Json::parse) else {
            return Ok(());
        };
        let (now, entropy) = (self.clock(at)?, self.entropy());
        let id = EventId::mint(now.wall, entropy).to_string();
        for (name, value) in &mut event {
            if name == "id" || name == "idempotencykey" {
                *value = Json::Text(id.clone());
            }
        }
        let mut body = String::new();
        Json::Object(event).write(&mut body);
        request.body = Some(body);
        Ok(())
    }

    fn misread(&mut self, at: At, number: u64, reply: Reply) -> Result<Reply, Broken> {
        let sent = self.tab(at)?.sent.get(&number).cloned().unwrap_or_default();
        Ok(match (self.plan.bug, reply) {
            (Some(Bug::DropsAsSent), _) if !sent.is_empty() => self.city.takes_all(&sent),
            (Some(Bug::DropsOn401), Reply::Http { status: 401, .. }) if !sent.is_empty() => {
                self.city.takes_all(&sent)
            }
            (
                Some(Bug::EarlyWord),
                Reply::Http { status: 200, city: Some(city), retry_after, date, body, .. },
            ) => {
                for id in
                    sent.iter().filter(|id| body.contains(&format!(r#""id":"{id}","verdict":"accepted""#)))
                {
                    self.notice(at, &Notice::Settled { id: *id, verdict: Final::Accepted })?;
                }
                Reply::Http { status: 200, city: Some(city), retry_after, date, body, html: false }
            }
            (Some(Bug::Overfull), Reply::Http { status, city, retry_after, date, body, .. }) => {
                let body = body.replace(r#""maxEvents":20"#, r#""maxEvents":90"#);
                Reply::Http { status, city, retry_after, date, body, html: false }
            }
            (_, reply) => reply,
        })
    }

    /// What a request carries, for as long as its page lives.
    pub(crate) fn note_sent(&mut self, at: At, number: u64, ids: Vec<EventId>) -> Result<(), Broken> {
        if self.plan.bug.is_some() && !ids.is_empty() {
            self.tab(at)?.sent.insert(number, ids);
        }
        Ok(())
    }
}
