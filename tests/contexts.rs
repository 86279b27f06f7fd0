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

use conch::event::{Device, Emit, Identity, UnixMillis};
use conch::outbox::Engine;
use conch::outbox::engine::{Input, Output, Request, Ticket};
use conch::outbox::port::Batch;
use conch::pace::Now;
use sim::disk::Disk;
use std::collections::VecDeque;

/// A context whose store answers when the test says so, in order.
struct Context {
    engine: Engine,
    now: Now,
    asked: VecDeque<Output>,
    sent: Vec<Request>,
    tickets: u64,
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
        };
        context.hand(Input::Opened(disk.opened()));
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

    fn emit(&mut self, key: &str) {
        let emit = Emit {
            topic: "stall.note.v1".into(),
            kind: "written".into(),
            key: key.into(),
            payload: "{}".into(),
            ..Emit::default()
        };
        self.tickets += 1;
        let entropy = [self.now.wall.0.to_be_bytes()[7], self.tickets as u8, 0, 0, 0, 0, 0, 0, 0, 0];
        self.engine.emit(Ticket(self.tickets), &emit, self.now, entropy);
        self.drain();
    }
}

/// Found by the simulator: a reading that our own write overtook was asked for again, together with a page, which
/// overtook the next reading, and so on without end.
#[test]
fn hints_of_another_context_are_read_once_each_and_not_without_end() {
    let mut disk = Disk::default();
    let mut leader = Context::open(&disk, 1);
    leader.hand(Input::LeadGained);
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
