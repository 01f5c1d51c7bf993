//! iceoryx2: two publish/subscribe services of byte slices, one each way, and bincode, since it has no types of serde.
//!
//! <https://docs.rs/iceoryx2/0.10.0/iceoryx2/port/publisher/index.html> (slices, loaned and written in place) and
//! <https://docs.rs/iceoryx2/0.10.0/iceoryx2/port/listener/index.html> (an event after each sample). Nothing is overwritten or discarded:
//! `enable_safe_overflow(false)` and `RetryUntilDelivered`.

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::Serde;
use crate::side::{Carry, Side, Typed};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use std::hint::spin_loop;
use std::thread::yield_now;

/// Samples that may wait at a subscriber: 64, or as many as are 16 MiB together, but 2. Chosen, not tuned.
fn room(size: usize) -> usize {
    ((16 << 20) / size).clamp(2, 64)
}

/// The receiver asks again and again.
pub(crate) fn polling() -> Contestant {
    let build = |meeting: &Meeting| Ok(Typed::side(Ports::new(meeting, false)?, meeting.size));
    let how = "bincode; a receiver that never sleeps";
    Contestant { name: "iceoryx2, polling", how, package: Some("iceoryx2"), link: Link::Stream, build, unfit: any }
}

/// The sender notifies, and the receiver sleeps until then.
pub(crate) fn events() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> { Ok(Typed::side(Ports::new(meeting, true)?, meeting.size)) };
    Contestant { name: "iceoryx2, events", how: "bincode; blocks", package: Some("iceoryx2"), link: Link::Stream, build, unfit: any }
}

struct Ports {
    publisher: Publisher<ipc::Service, [u8], ()>,
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    events: Option<(Notifier<ipc::Service>, Listener<ipc::Service>)>,
    /// Whether the other side needs this processor to go on.
    shared: bool,
    encoded: Vec<u8>,
    _node: Node<ipc::Service>,
}

impl Ports {
    fn new(meeting: &Meeting, blocks: bool) -> Result<Ports> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().create::<ipc::Service>()?;
        let service = |way: &str| -> Result<_> {
            let name = format!("{}-{way}", meeting.name);
            let bytes = node.service_builder(&name.as_str().try_into()?).publish_subscribe::<[u8]>();
            let bytes =
                bytes.enable_safe_overflow(false).history_size(0).subscriber_max_buffer_size(room(meeting.size)).open_or_create()?;
            Ok((bytes, node.service_builder(&name.as_str().try_into()?).event().open_or_create()?))
        };
        let (there, back) = (service("there")?, service("back")?);
        let ((out, out_events), (into, in_events)) = if meeting.near { (there, back) } else { (back, there) };
        let publisher = out.publisher_builder().initial_max_slice_len(meeting.size + 64);
        let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered).create()?;
        let subscriber = into.subscriber_builder().create()?;
        let events = match blocks {
            true => Some((out_events.notifier_builder().create()?, in_events.listener_builder().create()?)),
            false => None,
        };
        meeting.wait()?;
        Ok(Ports { publisher, subscriber, events, shared: meeting.shared, encoded: Vec::new(), _node: node })
    }
}

impl Carry for Ports {
    type Message = Serde;

    fn send(&mut self, message: Serde) -> Result<Option<Serde>> {
        self.encoded.clear();
        bincode::serde::encode_into_std_write(&message, &mut self.encoded, bincode::config::standard())?;
        self.publisher.loan_slice_uninit(self.encoded.len())?.write_from_slice(&self.encoded).send()?;
        if let Some((notifier, _)) = &self.events {
            notifier.notify()?;
        }
        Ok(Some(message))
    }

    fn receive(&mut self) -> Result<Serde> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                return Ok(bincode::serde::decode_from_slice(sample.payload(), bincode::config::standard())?.0);
            }
            match &self.events {
                Some((_, listener)) => drop(listener.blocking_wait(|_| {})?),
                None if self.shared => yield_now(),
                None => spin_loop(),
            }
        }
    }
}
