//! Several contexts of one origin on one database, as far as one engine hears of the others: hints come in a row, and
//! readings overlap writes.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use conch::event::json::Json;
use conch::event::{Device, Emit, Identity, Sequence, UnixMillis};
use conch::limits::{BEAT_EVERY_MS, LEADER_SILENT_MS};
use conch::outbox::Engine;
use conch::outbox::engine::{Input, Output, Request, Ticket, WhyNotSending};
use conch::outbox::port::{Batch, StoreFault};
use conch::pace::Now;
use conch::wire::classify::Reply;
use sim::disk::Disk;
use std::collections::VecDeque;

/// One context opened where the browser has no locks; whoever yields is told so again, as the driver does.
fn lockless(disk: &mut Disk, luck: u64) -> Context {
    let mut context = Context::open(disk, luck);
    context.engine.listen();
    context.lockless = true;
    context.hand(Input::NoLocks);
    context.settle(disk);
    context
}

/// A context whose store answers when the test says so, in order.
struct Context {
    engine: Engine,
    now: Now,
    asked: VecDeque<Output>,
    sent: Vec<Request>,
    tickets: u64,
    /// How often it said that it leads.
    beats: u32,
    lockless: bool,
}

impl Context {
    fn open(disk: &Disk, luck: u64) -> Self {
        let identity = Identity { device: Device::parse("till-1").unwrap(), incarnation: "life".into() };
        let now = Now { mono_ms: 1_000, wall: UnixMillis(1_790_000_000_000 + luck) };
        let mut context = Self {
            engine: Engine::new(identity, luck),
            now,
            asked: VecDeque::new(),
            sent: Vec::new(),
            tickets: 0,
            beats: 0,
            lockless: false,
        };
        context.hand(Input::Opened(disk.opened()));
        context
    }

    /// One that holds the lock.
    fn leading(disk: &Disk, luck: u64) -> Self {
        let mut context = Self::open(disk, luck);
        context.hand(Input::LeadGained);
        context
    }

    fn hand(&mut self, input: Input) {
        self.engine.handle(input, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll(self.now) {
            match output {
                Output::Apply { .. } | Output::Load { .. } | Output::Reread { .. } => {
                    self.asked.push_back(output)
                }
                Output::Send(request) => self.sent.push(request),
                Output::Beat => self.beats += 1,
                Output::YieldLead if self.lockless => self.engine.handle(Input::NoLocks, self.now),
                _ => {}
            }
        }
    }

    /// The store runs what it was asked first. Returns its answer, which the context has not heard yet.
    fn run(&mut self, disk: &mut Disk) -> Option<Input> {
        Some(match self.asked.pop_front()? {
            Output::Apply { op, batch } => Input::Applied { op, result: disk.apply(&batch) },
            Output::Load { op, load } => Input::Loaded { op, result: Ok(disk.load(&load)) },
            Output::Reread { op } => Input::Reread { op, result: Ok(disk.opened()) },
            other => panic!("{other:?}"),
        })
    }

    /// The store does all it was asked. Returns in how many operations.
    fn settle(&mut self, disk: &mut Disk) -> usize {
        let mut operations = 0;
        while let Some(answer) = self.run(disk) {
            operations += 1;
            assert!(operations < 1_000, "the store is asked without end: {answer:?}");
            self.hand(answer);
        }
        operations
    }

    /// Time passes, and the store does all that follows.
    fn advance(&mut self, ms: u64, disk: &mut Disk) {
        self.now.mono_ms += ms;
        self.now.wall.0 += ms;
        self.hand(Input::Wake);
        self.settle(disk);
    }

    /// The city answers one request.
    fn hear(&mut self, request: &Request, body: String) {
        let reply = Reply::Http {
            status: 200,
            city: Some("c".into()),
            retry_after: None,
            date: None,
            body,
            html: false,
        };
        self.hand(Input::Replied { request: request.number, reply });
    }

    /// The city says this to every event, one at a time.
    fn answer(&mut self, verdict: &str, disk: &mut Disk) {
        while let Some(request) = self.sent.pop() {
            let body = match request.path.as_str() {
                "/v1/edge" => r#"{"city":"c","batch":{"maxEvents":1}}"#.to_owned(),
                _ => verdict_for(&request, verdict),
            };
            self.hear(&request, body);
            self.settle(disk);
        }
    }

    fn emit(&mut self, key: &str) {
        self.emit_all(&[("stall.note.v1", "written", key)]);
    }

    fn emit_all(&mut self, events: &[(&str, &str, &str)]) {
        for (topic, kind, key) in events {
            let emit = Emit {
                topic: (*topic).into(),
                kind: (*kind).into(),
                key: (*key).into(),
                payload: r#"{"amount":5,"currency":"TWD","method":"cash"}"#.into(),
                ..Emit::default()
            };
            self.tickets += 1;
            let entropy = [self.now.wall.0.to_be_bytes()[7], self.tickets as u8, 0, 0, 0, 0, 0, 0, 0, 0];
            self.engine.emit(Ticket(self.tickets), &emit, self.now, entropy);
        }
        self.drain();
    }
}

/// What a city says to the one event of a request.
fn verdict_for(request: &Request, verdict: &str) -> String {
    let event = Json::parse(request.body.as_deref().unwrap()).unwrap();
    let id = event.get("id").and_then(Json::as_text).unwrap();
    format!(r#"{{"verdicts":[{{"id":"{id}","verdict":"{verdict}"}}]}}"#)
}

/// Found by the simulator: a reading that our own write overtook was asked for again, together with a page, which
/// overtook the next reading, and so on without end.
#[test]
fn hints_of_another_context_are_read_once_each_and_not_without_end() {
    let mut disk = Disk::default();
    let mut leader = Context::leading(&disk, 1);
    leader.settle(&mut disk);
    let mut other = Context::open(&disk, 2);
    other.emit("b");
    other.settle(&mut disk);

    // Two hints come while a write of the leader is under way.
    leader.emit("a");
    leader.hand(Input::Changed);
    leader.hand(Input::Changed);
    let operations = leader.settle(&mut disk);
    assert!(operations < 12, "{operations}");
    // Both were found: the first request asks what the city offers for more than one.
    assert_eq!(leader.sent.last().map(|request| request.path.as_str()), Some("/v1/edge"));
    assert!(!leader.asked.iter().any(|own| matches!(own, Output::Apply { batch: Batch::Lead, .. })));
}

/// Hints can be lost, and some browsers have no channel at all: a context that believes in a pause looks again.
#[test]
fn a_resume_that_nobody_heard_of_is_found() {
    for leads in [true, false] {
        let mut disk = Disk::default();
        disk.apply(&Batch::Pause(true)).unwrap();
        let mut context = Context::open(&disk, 1);
        if leads {
            context.hand(Input::LeadGained);
        }
        context.emit("a");
        context.settle(&mut disk);
        disk.apply(&Batch::Pause(false)).unwrap();
        let wake = context.engine.next_wake().unwrap_or_else(|| panic!("always-a-wake"));
        context.advance(wake - context.now.mono_ms, &mut disk);
        for _ in 0..4 {
            context.advance(30_000, &mut disk);
        }
        let why = context.engine.why_not_sending(context.now);
        assert_eq!((why == WhyNotSending::Paused, context.sent.is_empty()), (false, !leads), "{why:?}");
    }
}

/// The same for a lane that waits for a decision which another context has taken already.
#[test]
fn a_decision_that_nobody_heard_of_is_found() {
    let mut disk = Disk::default();
    let mut leader = Context::leading(&disk, 1);
    leader.settle(&mut disk);
    leader.emit_all(&[("pay.txn.v2", "requested", "o-1"), ("stall.note.v1", "written", "o-1")]);
    leader.settle(&mut disk);
    leader.answer("refused", &mut disk);
    assert_eq!(leader.engine.why_not_sending(leader.now), WhyNotSending::NeedsAttention);
    let discard = Batch::Discard { sequence: Sequence(1), reason: "gone".into(), at: leader.now.wall };
    disk.apply(&discard).unwrap();
    for _ in 0..4 {
        leader.advance(10_000, &mut disk);
    }
    assert_eq!(leader.sent.len(), 1, "{:?}", leader.engine.why_not_sending(leader.now));
}

/// Found by the simulator: a lane's wait that a reload brought along was never taken off the disk, and with the wall
/// clock set back every hint of another context made the lane wait for another hour.
#[test]
fn a_wait_of_a_lane_ends_with_its_event_and_is_not_begun_again_by_a_hint() {
    let mut disk = Disk::default();
    let mut leader = Context::leading(&disk, 1);
    leader.emit("a");
    leader.settle(&mut disk);
    leader.answer("retry", &mut disk);
    assert_eq!(disk.now.lanes.len(), 1);
    let lane = *disk.now.lanes.keys().next().unwrap();

    let mut leader = Context::leading(&disk, 3);
    leader.settle(&mut disk);
    leader.advance(20_000, &mut disk);
    assert_eq!(leader.sent.len(), 1);
    leader.answer("accepted", &mut disk);
    assert!(disk.now.lanes.is_empty(), "{:?}", disk.now.lanes);

    // As an older release left it, by a clock that was ahead.
    let ahead = UnixMillis(leader.now.wall.0 + 30 * 24 * 3_600_000);
    disk.apply(&Batch::Wait { epoch: disk.now.epoch, lanes: vec![(lane, ahead)] }).unwrap();
    leader.emit("a");
    leader.hand(Input::Changed);
    leader.settle(&mut disk);
    leader.hand(Input::Changed);
    leader.settle(&mut disk);
    assert_eq!(leader.sent.len(), 1, "{:?}", leader.engine.why_not_sending(leader.now));
    leader.sent.clear();
    leader.hand(Input::Changed);
    leader.settle(&mut disk);
    assert_eq!(leader.engine.why_not_sending(leader.now), WhyNotSending::Sending);
}

/// Found by the simulator: with the wall clock set back, every new leader waited for another hour, and with leaders
/// that follow each other nothing was ever sent.
#[test]
fn a_clock_that_was_set_back_makes_no_wait_that_new_leaders_begin_anew() {
    let mut disk = Disk::default();
    let mut leader = Context::leading(&disk, 1);
    leader.emit("a");
    leader.settle(&mut disk);
    leader.answer("retry", &mut disk);
    leader.emit("b");
    leader.settle(&mut disk);
    let request = leader.sent.pop().unwrap();
    leader.hand(Input::Replied { request: request.number, reply: Reply::NoAnswer });
    leader.settle(&mut disk);
    let mut sent = 0;
    for reload in 0..6 {
        let mut next = Context::open(&disk, 3 + reload);
        next.now = Now { mono_ms: 5, wall: UnixMillis(1_000_000 + reload * 60_000) };
        next.hand(Input::Opened(disk.opened()));
        next.hand(Input::LeadGained);
        next.settle(&mut disk);
        next.advance(60_000, &mut disk);
        sent += next.sent.len();
        next.answer("accepted", &mut disk);
    }
    assert!(sent > 0);
    assert_eq!(disk.now.counter.owed, 0);
}

/// Found by the simulator: two idle contexts without locks each took the lead from the other for ever, and neither ever
/// applied what the city said.
#[test]
fn without_locks_whoever_yields_does_not_take_the_lead_back_at_once() {
    let mut disk = Disk::default();
    let (mut one, mut other) = (lockless(&mut disk, 1), lockless(&mut disk, 2));
    let mut applied = 0;
    for round in 0..20 {
        for context in [&mut one, &mut other] {
            context.advance(1_000, &mut disk);
            let Some(question) = context.sent.pop() else { continue };
            assert!(question.path.starts_with("/v1/feed"), "{}", question.path);
            let before = disk.now.cursor.clone();
            context.hear(&question, format!(r#"{{"events":[],"cursor":"c{round}"}}"#));
            context.hand(Input::Effects(Vec::new()));
            context.settle(&mut disk);
            applied += usize::from(disk.now.cursor != before);
        }
    }
    assert!(applied > 10 && disk.now.epoch < 6, "applied {applied} times, epoch {}", disk.now.epoch);
}

/// Nothing is owed, and the word that the leader left was lost: the city may have something to say all the same.
#[test]
fn without_locks_somebody_listens_to_the_feed_after_a_leader_nobody_heard_leave() {
    let mut disk = Disk::default();
    let mut one = lockless(&mut disk, 1);
    one.advance(BEAT_EVERY_MS, &mut disk);
    let mut other = lockless(&mut disk, 2);
    assert!(one.engine.snapshot(one.now).leader && !other.engine.snapshot(other.now).leader);
    one.hand(Input::Leaving);
    one.settle(&mut disk);
    assert!(other.engine.next_wake().is_some_and(|at| at <= other.now.mono_ms + LEADER_SILENT_MS));
    for _ in 0..4 {
        other.advance(BEAT_EVERY_MS, &mut disk);
    }
    assert!(other.sent.iter().any(|request| request.path.starts_with("/v1/feed")));
    // While a leader listens, nobody takes its place.
    other.advance(BEAT_EVERY_MS, &mut disk);
    let mut third = lockless(&mut disk, 3);
    for _ in 0..8 {
        other.advance(BEAT_EVERY_MS, &mut disk);
        third.advance(BEAT_EVERY_MS, &mut disk);
    }
    assert!(other.engine.snapshot(other.now).leader && !third.engine.snapshot(third.now).leader);
}

/// The store does what it is asked, but the connection is lost before it can say so.
fn unheard(context: &mut Context, disk: &mut Disk) {
    match context.run(disk) {
        Some(Input::Applied { op, .. }) => {
            let result = Err(StoreFault::Lost("closed".into()));
            context.hand(Input::Applied { op, result });
        }
        other => panic!("{other:?}"),
    }
}

/// Found by the simulator: the refused payment was held to be owed still, the city said `retry` to it, and what came
/// after it in its lane was sent although it waited for a person.
#[test]
fn a_verdict_of_which_nobody_heard_that_it_was_written_counts_as_the_disk_has_it() {
    let mut disk = Disk::default();
    let mut leader = Context::leading(&disk, 1);
    leader.settle(&mut disk);
    leader.emit_all(&[("pay.txn.v2", "requested", "o-1")]);
    leader.settle(&mut disk);
    leader.emit_all(&[("stall.note.v1", "written", "o-1")]);
    leader.settle(&mut disk);
    let request = leader.sent.pop().unwrap();
    leader.hear(&request, verdict_for(&request, "refused"));
    while !matches!(leader.asked.front(), Some(Output::Apply { batch: Batch::Settle { .. }, .. })) {
        let answer = leader.run(&mut disk).unwrap();
        leader.hand(answer);
    }
    unheard(&mut leader, &mut disk);
    assert_eq!(disk.now.counter.dead, 1);
    for _ in 0..8 {
        leader.settle(&mut disk);
        assert!(
            !leader
                .sent
                .iter()
                .any(|sent| sent.body.as_ref().is_some_and(|body| body.contains("stall.note")))
        );
        leader.answer("retry", &mut disk);
        leader.advance(9_000, &mut disk);
    }
    assert_eq!(leader.engine.why_not_sending(leader.now), WhyNotSending::NeedsAttention);
}

#[test]
fn an_event_of_which_nobody_heard_that_it_was_stored_is_sent_all_the_same() {
    for leads in [true, false] {
        let mut disk = Disk::default();
        let mut context = Context::open(&disk, 1);
        if leads {
            context.hand(Input::LeadGained);
        }
        context.settle(&mut disk);
        context.emit("a");
        unheard(&mut context, &mut disk);
        // The reading may fail as well.
        if let Some(Output::Reread { op }) = context.asked.pop_front() {
            let result = Err(StoreFault::Lost("closed".into()));
            context.hand(Input::Reread { op, result });
        }
        for _ in 0..5 {
            context.advance(10_000, &mut disk);
        }
        let owed = context.engine.snapshot(context.now).counter.owed;
        assert_eq!((owed, context.sent.is_empty()), (1, !leads));
    }
}

/// Found by the simulator: a page of an older release held the lock, could not use the database that a newer one had
/// upgraded, and said every ten seconds that it led. So nobody sent what was owed until somebody closed it.
#[test]
fn a_leader_that_cannot_reach_the_store_does_not_say_that_it_leads() {
    let lost = || StoreFault::Lost("the database was deleted".into());
    for (fault, says_so) in [(StoreFault::Newer, false), (lost(), false), (StoreFault::Quota, true)] {
        let mut disk = Disk::default();
        let mut leader = Context::leading(&disk, 1);
        leader.emit("a");
        leader.settle(&mut disk);
        leader.beats = 0;
        for _ in 0..40 {
            leader.now.mono_ms += 1_000;
            leader.emit("b");
            leader.hand(Input::Wake);
            while let Some(asked) = leader.asked.pop_front() {
                let fault = fault.clone();
                leader.hand(match asked {
                    Output::Apply { op, .. } => Input::Applied { op, result: Err(fault) },
                    Output::Load { op, .. } => Input::Loaded { op, result: Err(fault) },
                    Output::Reread { op } => Input::Reread { op, result: Err(fault) },
                    other => panic!("{other:?}"),
                });
            }
            leader.sent.clear();
        }
        assert_eq!(leader.beats > 0, says_so, "{fault:?}: {} beats", leader.beats);
    }
}
