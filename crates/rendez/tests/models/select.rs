//! Selects that don't wait, over a few channels on one thread: `select!` with a default, `Select`, and choices of events. What
//! is chosen was ready, and nothing is chosen only if nothing was.

use super::{
    Script,
    channel::{Maker, Model},
};
use rendez::{
    Event, Select,
    chan::{self, Receiver, Sender, TrySendError},
    choose, select,
};
use std::time::Duration;

struct Channel {
    tx: Sender<super::channel::Counted>,
    rx: Receiver<super::channel::Counted>,
    model: Model,
}

/// Plays the script.
pub(crate) fn selects(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut maker = Maker::default();
    let mut channels: Vec<Channel> = (0..3)
        .map(|_| {
            let capacity = script.below(3);
            let (tx, rx) = chan::bounded(capacity);
            Channel { tx, rx, model: Model::new(Some(capacity)) }
        })
        .collect();
    while let Some(kind) = script.step(8) {
        let (a, b) = (script.below(3), script.below(3));
        match kind {
            0 => try_send(&mut channels[a], &mut maker),
            1 => {
                let told = channels[a].rx.try_recv().map(|value| value.number);
                assert_eq!(told, channels[a].model.recv());
            }
            2 if b == 0 => assert_eq!(channels[a].tx.close(), channels[a].model.close()),
            3 => recv_or_send(&mut channels, a, b, &mut maker),
            4 => send_in_a_slot(&mut channels, a, b, &mut maker),
            5 | 6 => dynamic(&mut channels, &mut script, &mut maker),
            7 => choice(&mut channels),
            _ => {}
        }
        for channel in &channels {
            assert_eq!(channel.rx.len(), channel.model.buffer.len());
        }
        let buffered: usize = channels.iter().map(|channel| channel.model.buffer.len()).sum();
        assert_eq!(maker.alive(), buffered);
    }
    drop(channels);
    assert_eq!(maker.alive(), 0, "values are left");
}

fn try_send(channel: &mut Channel, maker: &mut Maker) {
    let value = maker.make();
    let expected = channel.model.send(value.number).is_ok();
    assert_eq!(channel.tx.try_send(value).is_ok(), expected);
}

/// What the model says that a send has come to, which was chosen.
fn sent(model: &mut Model, number: u32) -> bool {
    match model.send(number) {
        Ok(()) => true,
        Err(TrySendError::Closed(_)) => false,
        Err(TrySendError::Full(_)) => panic!("a send was chosen that was not ready"),
    }
}

/// The same of a receive.
fn received(model: &mut Model) -> Option<u32> {
    assert!(model.gives(), "a receive was chosen that was not ready");
    model.recv().ok()
}

/// What a select has chosen.
enum Chosen {
    Recv(Option<u32>),
    Send(bool),
    Default,
}

fn recv_or_send(channels: &mut [Channel], a: usize, b: usize, maker: &mut Maker) {
    let value = maker.make();
    let number = value.number;
    let chosen = select! {
        recv(channels[a].rx) -> value => Chosen::Recv(value.ok().map(|value| value.number)),
        send(channels[b].tx, value) -> sent => Chosen::Send(sent.is_ok()),
        default => Chosen::Default,
    };
    match chosen {
        Chosen::Recv(value) => assert_eq!(value, received(&mut channels[a].model)),
        Chosen::Send(is_sent) => assert_eq!(is_sent, sent(&mut channels[b].model, number)),
        Chosen::Default => assert!(!channels[a].model.gives() && !channels[b].model.takes()),
    }
}

fn send_in_a_slot(channels: &mut [Channel], a: usize, b: usize, maker: &mut Maker) {
    let mut slot = Some(maker.make());
    let number = maker.next_was();
    let chosen = select! {
        biased;
        recv(channels[a].rx) -> value => Chosen::Recv(value.ok().map(|value| value.number)),
        send(channels[b].tx, take slot) -> sent => Chosen::Send(sent.is_ok()),
        default(Duration::ZERO) => Chosen::Default,
    };
    match chosen {
        Chosen::Recv(value) => assert_eq!(value, received(&mut channels[a].model)),
        Chosen::Send(is_sent) => {
            assert!(!channels[a].model.gives(), "an earlier arm was ready");
            assert!(slot.is_none());
            assert_eq!(is_sent, sent(&mut channels[b].model, number));
            return;
        }
        Chosen::Default => assert!(!channels[a].model.gives() && !channels[b].model.takes()),
    }
    assert_eq!(slot.map(|value| value.number), Some(number), "a slot keeps what was not sent");
}

/// All receives and all sends; what is chosen is carried out or given up.
fn dynamic(channels: &mut [Channel], script: &mut Script<'_>, maker: &mut Maker) {
    let gives_up = script.below(3) == 0;
    // Which are offered, as bits: receives, then sends.
    let offered = script.below(64);
    let (chosen, told) = {
        let mut select = Select::new();
        let mut arms = Vec::new();
        for (i, channel) in channels.iter().enumerate() {
            if offered >> i & 1 == 1 {
                arms.push((select.recv(&channel.rx), i, false));
            }
            if offered >> (3 + i) & 1 == 1 {
                arms.push((select.send(&channel.tx), i, true));
            }
        }
        match select.try_wait() {
            None => {
                for (_, i, is_send) in arms {
                    let model = &channels[i].model;
                    assert!(!if is_send { model.takes() } else { model.gives() }, "an arm was ready");
                }
                return;
            }
            Some(operation) => {
                let at = arms.iter().find(|arm| arm.0 == operation.index()).expect("it is one of them");
                let channel = &channels[at.1];
                let told = if gives_up {
                    drop(operation);
                    Chosen::Default
                } else if at.2 {
                    Chosen::Send(operation.send(&channel.tx, maker.make()).is_ok())
                } else {
                    Chosen::Recv(operation.recv(&channel.rx).ok().map(|value| value.number))
                };
                (*at, told)
            }
        }
    };
    let (_, i, is_send) = chosen;
    let model = &mut channels[i].model;
    match told {
        Chosen::Send(is_sent) => assert_eq!(is_sent, sent(model, maker.next_was())),
        Chosen::Recv(value) => assert_eq!(value, received(model)),
        Chosen::Default if is_send => assert!(model.takes()),
        Chosen::Default => {
            if let Some(value) = received(model) {
                model.give_back(value);
            }
        }
    }
}

/// The first of all receives that is ready.
fn choice(channels: &mut [Channel]) {
    let receives = channels.iter().enumerate().map(|(i, channel)| {
        channel.rx.recv_event().map(move |value| (i, value.ok().map(|value| value.number)))
    });
    match choose(receives).wait_timeout(Duration::ZERO) {
        None => assert!(channels.iter().all(|channel| !channel.model.gives())),
        Some((i, value)) => assert_eq!(value, received(&mut channels[i].model)),
    }
}
