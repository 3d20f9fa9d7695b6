//! A story as a trace of Perfetto's: packets of track events, by its schema (`protos/perfetto/trace` of <https://github.com/google/perfetto>).

use super::{protobuf::Message, ring::Record, story::Slice};
use crate::{sched::WorkerName, wait::Reason};
use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    panic::Location,
    ptr,
};

/// The numbers of the fields.
mod field {
    pub(super) const TRACE_PACKET: u32 = 1;

    pub(super) const PACKET_TIMESTAMP: u32 = 8;
    pub(super) const PACKET_SEQUENCE: u32 = 10;
    pub(super) const PACKET_EVENT: u32 = 11;
    pub(super) const PACKET_INTERNED: u32 = 12;
    pub(super) const PACKET_FLAGS: u32 = 13;
    pub(super) const PACKET_TRACK: u32 = 60;

    pub(super) const TRACK_UUID: u32 = 1;
    pub(super) const TRACK_PROCESS: u32 = 3;
    pub(super) const TRACK_THREAD: u32 = 4;
    pub(super) const TRACK_PARENT: u32 = 5;
    pub(super) const PROCESS_PID: u32 = 1;
    pub(super) const PROCESS_NAME: u32 = 6;
    pub(super) const THREAD_PID: u32 = 1;
    pub(super) const THREAD_TID: u32 = 2;
    pub(super) const THREAD_NAME: u32 = 5;

    pub(super) const EVENT_ANNOTATION: u32 = 4;
    pub(super) const EVENT_TYPE: u32 = 9;
    pub(super) const EVENT_NAME_NUMBER: u32 = 10;
    pub(super) const EVENT_TRACK: u32 = 11;
    pub(super) const EVENT_CATEGORY: u32 = 22;
    pub(super) const EVENT_FLOW: u32 = 47;
    pub(super) const EVENT_LAST_OF_FLOW: u32 = 48;

    pub(super) const ANNOTATION_NUMBER: u32 = 3;
    pub(super) const ANNOTATION_TEXT: u32 = 6;
    pub(super) const ANNOTATION_NAME: u32 = 10;

    pub(super) const INTERNED_EVENT_NAME: u32 = 2;
    pub(super) const NAME_NUMBER: u32 = 1;
    pub(super) const NAME_TEXT: u32 = 2;
}

const BEGIN: u64 = 1;
const END: u64 = 2;
const INSTANT: u64 = 3;
/// Names are given numbers from here on; and a packet that uses one.
const CLEARED: u64 = 1;
const NEEDS_NAMES: u64 = 2;
/// All packets are of one sequence.
const SEQUENCE: u64 = 1;
const PROCESS: u64 = 1;

/// How a slice ended.
fn how(end: u8) -> &'static str {
    match end {
        Record::ENDED => "ended",
        Record::YIELDED => "yield",
        Record::PENDING => Reason::Future.text(),
        reason => {
            Reason::ALL.get(usize::from(reason - Record::PARKED)).map_or("park", |reason| reason.text())
        }
    }
}

/// The spawn site whose address was recorded.
fn site(address: usize) -> Option<&'static Location<'static>> {
    // SAFETY: zero, or the address of a header's `&'static Location`, whose provenance was exposed then.
    unsafe { ptr::with_exposed_provenance::<Location<'static>>(address).as_ref() }
}

/// Of two workers with the same thread, one after the other, each is a track.
fn track(worker: usize) -> u64 {
    PROCESS + 1 + worker as u64
}

/// Writes the trace. `time` turns ticks into nanoseconds.
pub(super) fn write(
    out: &mut impl Write,
    workers: &[WorkerName],
    slices: &[Slice],
    time: impl Fn(u64) -> u64,
) -> io::Result<()> {
    let mut writer = Writer { out, names: HashMap::new(), titles: HashMap::new(), time: &time };
    let pid = u64::from(std::process::id());
    writer.track(PROCESS, |track| {
        let program = std::env::current_exe().ok();
        let name = program.as_ref().and_then(|path| path.file_name()?.to_str()).unwrap_or("rendez");
        track.message(field::TRACK_PROCESS, |process| {
            process.number(field::PROCESS_PID, pid).text(field::PROCESS_NAME, name);
        });
    })?;
    let used: HashSet<usize> = slices.iter().map(|slice| slice.worker).collect();
    for (index, worker) in workers.iter().enumerate().filter(|(index, _)| used.contains(index)) {
        writer.track(track(index), |track| {
            let name = match worker.runtime {
                0 => "an earlier worker".to_string(),
                runtime => format!("runtime {runtime} worker {}", worker.index),
            };
            track.number(field::TRACK_PARENT, PROCESS).message(field::TRACK_THREAD, |thread| {
                thread
                    .number(field::THREAD_PID, pid)
                    .number(field::THREAD_TID, worker.thread)
                    .text(field::THREAD_NAME, &name);
            });
        })?;
    }
    slices.iter().try_for_each(|slice| writer.slice(slice))
}

struct Writer<'a, W> {
    out: &'a mut W,
    /// The numbers of names.
    names: HashMap<String, u64>,
    /// What goroutines without a name are called, by their sites.
    titles: HashMap<usize, String>,
    time: &'a dyn Fn(u64) -> u64,
}

impl<W: Write> Writer<'_, W> {
    fn packet(&mut self, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
        let mut trace = Message::new();
        trace.message(field::TRACE_PACKET, |packet| {
            fill(packet.number(field::PACKET_SEQUENCE, SEQUENCE));
        });
        self.out.write_all(&trace.into_bytes())
    }

    fn track(&mut self, uuid: u64, fill: impl FnOnce(&mut Message)) -> io::Result<()> {
        self.packet(|packet| {
            if uuid == PROCESS {
                packet.number(field::PACKET_FLAGS, CLEARED);
            }
            packet.message(field::PACKET_TRACK, |track| fill(track.number(field::TRACK_UUID, uuid)));
        })
    }

    /// What a goroutine is called: by its name, or where it was created.
    fn title(&mut self, goroutine: u64, address: usize) -> String {
        if let Some(name) = super::name(goroutine) {
            return name.into();
        }
        let title = || site(address).map_or_else(|| "goroutine".into(), ToString::to_string);
        self.titles.entry(address).or_insert_with(title).clone()
    }

    /// An event of this name, if it has one, at this moment.
    fn event(
        &mut self,
        (ticks, worker, kind): (u64, usize, u64),
        name: Option<&str>,
        fill: impl FnOnce(&mut Message),
    ) -> io::Result<()> {
        let next = self.names.len() as u64 + 1;
        let number = name.map(|name| *self.names.entry(name.to_owned()).or_insert(next));
        let is_new = number == Some(next);
        let at = (self.time)(ticks);
        self.packet(|packet| {
            packet.number(field::PACKET_TIMESTAMP, at).number(field::PACKET_FLAGS, NEEDS_NAMES);
            if let (true, Some(name)) = (is_new, name) {
                packet.message(field::PACKET_INTERNED, |interned| {
                    interned.message(field::INTERNED_EVENT_NAME, |entry| {
                        entry.number(field::NAME_NUMBER, next).text(field::NAME_TEXT, name);
                    });
                });
            }
            packet.message(field::PACKET_EVENT, |event| {
                event.number(field::EVENT_TYPE, kind).number(field::EVENT_TRACK, track(worker));
                if let Some(number) = number {
                    event.number(field::EVENT_NAME_NUMBER, number).text(field::EVENT_CATEGORY, "goroutine");
                }
                fill(event);
            });
        })
    }

    fn slice(&mut self, slice: &Slice) -> io::Result<()> {
        let title = self.title(slice.goroutine, slice.site);
        self.event((slice.begin, slice.worker, BEGIN), Some(&title), |event| {
            annotate(event, "goroutine", Value::Number(slice.goroutine));
            if let Some(site) = site(slice.site) {
                annotate(event, "created at", Value::Text(&site.to_string()));
            }
            annotate(event, "until", Value::Text(how(slice.how)));
            for &arrow in &slice.wakes {
                event.fixed(field::EVENT_FLOW, arrow);
            }
            for &arrow in &slice.woken_by {
                event.fixed(field::EVENT_LAST_OF_FLOW, arrow);
            }
        })?;
        for &(at, goroutine, address) in &slice.spawns {
            let title = format!("go {}", self.title(goroutine, address));
            // Within its slice, whatever the clock says.
            let at = at.clamp(slice.begin, slice.end);
            self.event((at, slice.worker, INSTANT), Some(&title), |event| {
                annotate(event, "goroutine", Value::Number(goroutine));
            })?;
        }
        if slice.how >= Record::PENDING {
            let title = how(slice.how);
            self.event((slice.end, slice.worker, INSTANT), Some(title), |event| {
                annotate(event, "goroutine", Value::Number(slice.goroutine));
            })?;
        }
        self.event((slice.end, slice.worker, END), None, |_| ())
    }
}

enum Value<'a> {
    Number(u64),
    Text(&'a str),
}

fn annotate(event: &mut Message, name: &str, value: Value<'_>) {
    event.message(field::EVENT_ANNOTATION, |annotation| {
        annotation.text(field::ANNOTATION_NAME, name);
        match value {
            Value::Number(number) => annotation.number(field::ANNOTATION_NUMBER, number),
            Value::Text(text) => annotation.text(field::ANNOTATION_TEXT, text),
        };
    });
}
