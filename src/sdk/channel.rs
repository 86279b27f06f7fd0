//! What the contexts of an origin tell each other: that the outbox changed, and that the leader lives. Only hints:
//! what changed is on disk.

use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Something on disk changed.
    Changed,
    /// The context that leads lives.
    Beat,
}

impl Word {
    fn to_js(self) -> JsValue {
        JsValue::from_str(match self {
            Self::Changed => "changed",
            Self::Beat => "beat",
        })
    }

    /// What an unknown word means is looked up on disk.
    fn of(value: &JsValue) -> Self {
        if *value == Self::Beat.to_js() { Self::Beat } else { Self::Changed }
    }
}

/// The channel of one database; closed on drop. Without BroadcastChannel nothing is said and nothing heard.
pub(super) struct Channel {
    channel: Option<BroadcastChannel>,
    _heard: Closure<dyn Fn(MessageEvent)>,
}

impl Channel {
    /// Listens for the other contexts.
    pub(super) fn open(database: &str, heard: impl Fn(Word) + 'static) -> Self {
        let heard =
            Closure::<dyn Fn(MessageEvent)>::new(move |said: MessageEvent| heard(Word::of(&said.data())));
        let channel = BroadcastChannel::new(&format!("conch:{database}")).ok();
        if let Some(channel) = &channel {
            channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        }
        Self { channel, _heard: heard }
    }

    /// Tells the others.
    pub(super) fn tell(&self, word: Word) {
        if let Some(channel) = &self.channel {
            // A hint that cannot be given is no fault: the others look again when they wake.
            let _ = channel.post_message(&word.to_js());
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(channel) = &self.channel {
            channel.set_onmessage(None);
            channel.close();
        }
    }
}
