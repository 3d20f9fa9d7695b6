//! Tokens go round over several channels: everybody takes one from whichever has any, and sends it to whichever takes it.

use crate::soak::{
    ledger::{Ledger, Value},
    stage::{Rng, Role, Stage},
};
use rendez::{
    Context, Event, Select,
    chan::{self, Receiver, Sender},
    choose, select,
};
use std::{sync::Arc, time::Duration};

type Endpoints = Vec<(Sender<Value>, Receiver<Value>)>;

pub(super) fn play(stage: &Stage) {
    let mut rng = stage.rng();
    let channels: Endpoints = (0..rng.usize(2..5)).map(|_| chan::bounded(rng.usize(..3))).collect();
    for _ in 0..rng.u32(2..7) {
        let (ctx, ledger) = (stage.ctx.clone(), stage.ledger.clone());
        stage.start(&mut rng, Passing { channels: channels.clone(), ctx, ledger });
    }
    stage.wait();
    // Nobody plays any more: what is left is in the buffers.
    for (_, rx) in &channels {
        rx.try_iter().for_each(Value::receive);
    }
}

struct Passing {
    channels: Endpoints,
    ctx: Context,
    ledger: Arc<Ledger>,
}

impl Role for Passing {
    fn play(self, mut rng: Rng) {
        let Passing { channels, ctx, ledger } = self;
        let mut token = None;
        while ctx.err().is_none() {
            if token.is_none() && rng.u32(..4) == 0 {
                token = Some(ledger.make());
            }
            let ((a, from_a), (b, from_b)) =
                (&channels[rng.usize(..channels.len())], &channels[rng.usize(..channels.len())]);
            match rng.u32(..4) {
                // Both at once: a token may come while one goes.
                0 => {
                    let mut came = None;
                    select! {
                        send(a, take token) -> sent => keep(&mut token, sent.err().map(|error| error.0)),
                        recv(from_b) -> value => came = value.ok(),
                        recv(ctx.done()) -> _ => {},
                        default(Duration::from_millis(1)) => {},
                    }
                    keep(&mut token, came);
                }
                1 => {
                    let came = select! {
                        biased;
                        recv(ctx.done()) -> _ => None,
                        recv(from_a) -> value => value.ok(),
                        recv(from_b) -> value => value.ok(),
                        default => None,
                    };
                    keep(&mut token, came);
                    rendez::yield_now();
                }
                2 => {
                    let mut select = Select::new();
                    let receives: Vec<usize> = channels.iter().map(|(_, rx)| select.recv(rx)).collect();
                    let send = token.is_some().then(|| select.send(b));
                    let Some(operation) = select.wait_timeout(Duration::from_micros(200)) else { continue };
                    if Some(operation.index()) == send {
                        let value = token.take().expect("there is one to be sent");
                        keep(&mut token, operation.send(b, value).err().map(|error| error.0));
                    } else {
                        let place = receives.iter().position(|&index| index == operation.index());
                        let (_, rx) = &channels[place.expect("it is one of them")];
                        // Now and then it is given up: the value goes back.
                        let came = if rng.u32(..8) == 0 { None } else { operation.recv(rx).ok() };
                        keep(&mut token, came);
                    }
                }
                _ => {
                    let any = choose(channels.iter().map(|(_, rx)| rx.recv_event()));
                    let came = ctx.bound(any).wait_timeout(Duration::from_micros(200));
                    keep(&mut token, came.and_then(Result::ok).and_then(Result::ok));
                }
            }
        }
        keep(&mut token, None);
        if let Some(value) = token {
            value.receive();
        }
    }

    async fn play_async(self, mut rng: Rng) {
        let Passing { channels, ctx, ledger } = self;
        let mut token = None;
        while ctx.err().is_none() {
            if token.is_none() && rng.u32(..4) == 0 {
                token = Some(ledger.make());
            }
            let (a, _) = &channels[rng.usize(..channels.len())];
            if rng.bool() {
                let any = choose(channels.iter().map(|(_, rx)| rx.recv_event()));
                if let Ok(Ok(value)) = ctx.bound(any).wait_async().await {
                    keep(&mut token, Some(value));
                }
            } else if let Some(value) = token.take() {
                // A send that the end meets would drop its value, so the choice is put off until somebody can take it.
                keep(&mut token, a.try_send(value).err().map(chan::TrySendError::into_inner));
                rendez::time::sleep_async(Duration::from_micros(20)).await;
            } else {
                rendez::time::sleep_async(Duration::from_micros(20)).await;
            }
        }
        if let Some(value) = token {
            value.receive();
        }
    }
}

/// Of two tokens, one is put aside.
fn keep(token: &mut Option<Value>, came: Option<Value>) {
    if let Some(came) = came
        && let Some(other) = token.replace(came)
    {
        other.receive();
    }
}
