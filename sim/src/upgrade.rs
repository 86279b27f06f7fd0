//! A device's database as pages open it: created, found thrown away, or to be upgraded while older pages hold it. What the
//! browser does about connections is done as `browser/store/connection.rs` meets it.

use crate::bug::Bug;
use crate::device::{Past, Tab};
use crate::disk::Disk;
use crate::oracle::{Broken, Memory};
use crate::plan::Trouble;
use crate::weather::Weather;
use crate::world::{At, Claiming, What, World};
use conch::limits::OPEN_TIMEOUT_MS;
use conch::outbox::canary;
use conch::outbox::engine::Input;
use conch::pace::Watched;

/// How often a page that waits for others to let go looks again, in ms.
const LOOK_AGAIN_MS: u64 = 250;

/// The name of a device's so many-th database.
pub(crate) fn incarnation(number: usize) -> String {
    format!("life-{number}")
}

impl World {
    /// A page is opened, with the newest release there is.
    pub(crate) fn reopen(&mut self, device: usize, index: usize) -> Result<(), Broken> {
        if self.tab(At { device, tab: index, life: 0 })?.engine.is_some() {
            return Ok(());
        }
        let at = self.alive(device, index)?;
        if !self.opens(at)? {
            return Ok(());
        }
        let (seed, hidden) = (self.chance.next_bits(), self.one_in(6));
        let mono = self.mono_of(device)?;
        let own = self.device(device)?;
        let (identity, opened) = (own.identity.clone(), own.disk.opened());
        let (has_locks, born, release) = (own.lock.is_some(), own.past.len(), own.published);
        let seen = own.marker.clone();
        self.looks_back(at, &opened.counter)?;
        let tab = self.tab(at)?;
        let mut engine = conch::outbox::Engine::new(identity, seed);
        engine.listen();
        let worker = tab.worker;
        *tab = Tab {
            engine: Some(engine),
            life: tab.life,
            origin_ms: mono,
            token: tab.token,
            tickets: tab.tickets,
            born,
            release,
            holds: true,
            seen,
            worker,
            ..Tab::default()
        };
        self.tell(at, Input::Opened(opened))?;
        let watched = if worker || hidden && self.bad() { Watched::Hidden } else { Watched::Visible };
        self.tell(at, Input::Watched(watched))?;
        if has_locks { self.compete(at, Claiming::InTurn) } else { self.tell(at, Input::NoLocks) }
    }

    /// Opens the database for a page, or has it wait for those that hold it with an older layout.
    fn opens(&mut self, at: At) -> Result<bool, Broken> {
        let now = self.now;
        let own = self.device(at.device)?;
        let release = own.published;
        own.disk.create(release);
        if own.disk.now.layout >= release {
            self.tab(at)?.opening_since = None;
            return Ok(true);
        }
        own.upgrade_asked = true;
        let since = *self.tab(at)?.opening_since.get_or_insert(now);
        if self.hung(at.device)? == 0 {
            let killed = self.strikes(Trouble::Crash, 4);
            self.tab(at)?.opening_since = None;
            if killed {
                // In the middle of the upgrade: the browser takes it back.
                self.schedule(now + 500, at, What::Reopen);
                return Ok(false);
            }
            self.upgrades(at.device)?;
            return Ok(true);
        }
        self.met(Weather::Blocked);
        let patient = now < since + OPEN_TIMEOUT_MS;
        let wait = if patient { LOOK_AGAIN_MS } else { 5_000 + self.chance.up_to(25_000) };
        if !patient {
            self.tab(at)?.opening_since = None;
            let own = self.device(at.device)?;
            if !own.tabs.iter().any(|tab| tab.holds && tab.frozen.is_some()) {
                return Err("lets-go: a page whose scripts run keeps a newer one out".to_owned());
            }
        }
        self.schedule(now + wait, at, What::Reopen);
        Ok(false)
    }

    /// Whoever can hears that a newer page wants to upgrade and lets go. How many do not.
    fn hung(&mut self, device: usize) -> Result<usize, Broken> {
        let stays = self.plan.bug == Some(Bug::OldTabStays);
        let own = self.device(device)?;
        let (layout, lives) = (own.disk.now.layout, own.past.len());
        let mut hung = 0;
        for tab in &mut own.tabs {
            let old = tab.engine.is_some() && tab.born == lives && tab.release <= layout;
            match old && tab.holds {
                true if tab.frozen.is_some() || stays => hung += 1,
                _ if old => tab.holds = false,
                _ => {}
            }
        }
        Ok(hung)
    }

    /// A newer release of the page is there; somebody reloads one page soon, the others stay as they are.
    pub(crate) fn released(&mut self, device: usize) -> Result<(), Broken> {
        self.device(device)?.published += 1;
        let Some(index) = self.awake(device)? else { return Ok(()) };
        let (at, pause) = (self.alive(device, index)?, 200 + self.chance.up_to(2_000));
        self.ends(at, pause)
    }

    /// The upgrade that somebody asked for, once nobody holds the older layout.
    pub(crate) fn upgrades(&mut self, device: usize) -> Result<(), Broken> {
        let own = self.device(device)?;
        own.upgrade_asked = false;
        let owed = own.disk.now.counter.owed;
        own.disk.upgrade(own.published);
        if owed > 0 {
            self.met(Weather::Upgraded);
        }
        self.look(device)
    }

    /// A page that hung hears of the upgrade at last.
    pub(crate) fn lets_go_late(&mut self, device: usize) -> Result<(), Broken> {
        if self.device(device)?.upgrade_asked && self.hung(device)? == 0 {
            return self.upgrades(device);
        }
        Ok(())
    }

    /// Compares the outbox that was found with what was last seen of it: a page is told exactly when it was thrown away.
    fn looks_back(&mut self, at: At, counter: &conch::outbox::record::Counter) -> Result<(), Broken> {
        let silent = self.plan.bug == Some(Bug::SilentEviction);
        let own = self.device(at.device)?;
        if own.tabs.get(at.tab).is_none_or(|tab| tab.worker) {
            return Ok(());
        }
        let seen = own.marker.clone().unwrap_or_default();
        let life = own.identity.incarnation.clone();
        let alarm = canary::compare(&seen, &life, counter).filter(|_| !silent);
        let lost = own.past.iter_mut().find(|past| past.marked && !past.told);
        match (alarm.map(|alarm| alarm.code), lost) {
            (Some("evicted"), Some(past)) => {
                past.told = true;
                self.met(Weather::Alarm);
                Ok(())
            }
            (None, None) => Ok(()),
            (Some(code), _) => Err(format!("evicted: {code} was called, and {seen} is {life} {counter:?}")),
            (None, Some(past)) => {
                Err(format!("evicted: {} was thrown away without a word", past.identity.incarnation))
            }
        }
    }

    /// A page notes what is seen in another store than the database.
    pub(crate) fn notes(&mut self, at: At) -> Result<(), Broken> {
        let own = self.device(at.device)?;
        let Some(tab) = own.tabs.get_mut(at.tab).filter(|tab| !tab.worker) else { return Ok(()) };
        let Some(counter) = tab.engine.as_ref().map(|engine| engine.counter()) else { return Ok(()) };
        let news = Some((counter.next, counter.owed));
        let life = incarnation(tab.born);
        let may = canary::may_note(own.marker.as_deref(), tab.seen.as_deref(), &life);
        if core::mem::replace(&mut tab.noted, news) != news && may {
            own.marker = Some(canary::words(&life, &counter));
            // A page that still ran has noted it anew.
            if let Some(past) = own.past.get_mut(tab.born) {
                past.marked = true;
            }
        }
        Ok(())
    }

    /// The browser throws the whole database away, with or without what was noted beside it.
    pub(crate) fn evicted(&mut self, device: usize) -> Result<(), Broken> {
        let (forgets, bug) = (self.one_in(4), self.plan.bug);
        let own = self.device(device)?;
        if own.disk.now.layout == 0 {
            return Ok(());
        }
        if forgets {
            own.marker = None;
        }
        let owed = own.disk.now.counter.owed;
        let mut identity = own.identity.clone();
        identity.incarnation = incarnation(own.past.len() + 1);
        own.past.push(Past {
            identity: core::mem::replace(&mut own.identity, identity),
            disk: core::mem::replace(&mut own.disk, Disk::with(bug)),
            memory: core::mem::take(&mut own.memory),
            marked: own.marker.is_some(),
            told: false,
        });
        own.upgrade_asked = false;
        if owed > 0 {
            self.met(Weather::Evicted);
        }
        Ok(())
    }

    /// A page that cannot use its database any more is loaded anew by whoever sees it fail.
    pub(crate) fn reloads(&mut self, at: At) -> Result<(), Broken> {
        let pause = 200 + self.chance.up_to(2_000);
        if self.tab(at)?.life != at.life || self.is_current(at)? {
            return Ok(());
        }
        self.ends(at, pause)
    }

    /// Whether a page's database is the one there is, in a layout that it knows.
    pub(crate) fn is_current(&mut self, at: At) -> Result<bool, Broken> {
        let own = self.device(at.device)?;
        let (lives, layout) = (own.past.len(), own.disk.now.layout);
        Ok(own.tabs.get(at.tab).is_some_and(|tab| tab.born == lives && tab.release >= layout))
    }

    /// The browser wakes a service worker to send what is owed, for as long as it likes.
    pub(crate) fn syncs(&mut self, device: usize, ms: u64) -> Result<(), Broken> {
        let Some(index) = self.device(device)?.tabs.iter().position(|tab| tab.worker) else { return Ok(()) };
        if self.tab(At { device, tab: index, life: 0 })?.engine.is_some() {
            return Ok(());
        }
        self.met(Weather::Worker);
        self.reopen(device, index)?;
        let at = self.alive(device, index)?;
        self.schedule(self.now + ms, at, What::WorkerEnds);
        Ok(())
    }

    pub(crate) fn worker_ends(&mut self, at: At) -> Result<(), Broken> {
        if self.tab(at)?.life != at.life {
            return Ok(());
        }
        if self.one_in(2) {
            self.tell(at, Input::Leaving)?;
        }
        self.ends(at, 0)
    }
}

/// A memory of a life that is over.
impl Past {
    /// What the oracle knows of it.
    pub(crate) fn known(&mut self) -> (&mut Memory, &Disk) {
        (&mut self.memory, &self.disk)
    }
}
