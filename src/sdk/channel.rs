//! What the contexts of an origin tell each other: that the outbox changed, and that the leader lives. Only hints:
//! what changed is on disk.

use crate::browser::sys::{self, Handler};
use wasm_bindgen::prelude::*;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Something on disk changed.
    Changed,
    /// The context that leads lives.
    Beat,
    /// A person says "send now", perhaps beside a context that does not lead.
    Flush,
    /// The city said this, and it is on disk.
    Heard(String),
}

/// What is in front of an event of the feed.
const HEARD: &str = "heard ";

impl Word {
    fn to_js(&self) -> JsValue {
        match self {
            Self::Changed => sys::text("changed"),
            Self::Beat => sys::text("beat"),
            Self::Flush => sys::text("flush"),
            Self::Heard(body) => sys::text(&format!("{HEARD}{body}")),
        }
    }

    /// What an unknown word means is looked up on disk.
    fn of(value: &JsValue) -> Self {
        let said = value.as_string().unwrap_or_default();
        match said.strip_prefix(HEARD) {
            Some(body) => Self::Heard(body.to_owned()),
            None if said == "beat" => Self::Beat,
            None if said == "flush" => Self::Flush,
            None => Self::Changed,
        }
    }
}

/// The channel of one database; closed on drop. Without BroadcastChannel nothing is said and nothing heard.
pub(super) struct Channel {
    channel: Option<JsValue>,
    _heard: Handler,
}

impl Channel {
    /// Listens for the other contexts.
    pub(super) fn open(database: &str, heard: impl Fn(Word) + 'static) -> Self {
        let heard = sys::handler(move |said| heard(Word::of(&sys::get(&said, "data"))));
        let channel = sys::make("BroadcastChannel", &[&sys::text(&format!("conch:{database}"))]).ok();
        if let Some(channel) = &channel {
            sys::set(channel, "onmessage", heard.as_ref());
        }
        Self { channel, _heard: heard }
    }

    /// Tells the others.
    pub(super) fn tell(&self, word: &Word) {
        if let Some(channel) = &self.channel {
            // A hint that cannot be given is no fault: the others look again when they wake.
            let _ = sys::call(channel, "postMessage", &[&word.to_js()]);
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(channel) = &self.channel {
            sys::set(channel, "onmessage", &JsValue::NULL);
            // To close cannot fail.
            let _ = sys::call(channel, "close", &[]);
        }
    }
}
