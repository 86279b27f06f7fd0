//! A hint to the other contexts of the origin that the outbox changed. Only a hint: what changed is on disk.

use wasm_bindgen::prelude::*;
use web_sys::BroadcastChannel;

/// The channel of one database; closed on drop. Without BroadcastChannel nothing is said and nothing heard.
pub(super) struct Channel {
    channel: Option<BroadcastChannel>,
    _heard: Closure<dyn Fn()>,
}

impl Channel {
    /// Listens for the other contexts.
    pub(super) fn open(database: &str, heard: impl Fn() + 'static) -> Self {
        let heard = Closure::<dyn Fn()>::new(heard);
        let channel = BroadcastChannel::new(&format!("conch:{database}")).ok();
        if let Some(channel) = &channel {
            channel.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        }
        Self { channel, _heard: heard }
    }

    /// Tells the others.
    pub(super) fn tell(&self) {
        if let Some(channel) = &self.channel {
            // A hint that cannot be given is no fault: the others look again when they wake.
            let _ = channel.post_message(&JsValue::TRUE);
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
