//! Traces as Perfetto reads them: the messages that ours use, with the fields that they use, after its published schema
//! (`protos/perfetto/trace/trace_packet.proto`, `protos/perfetto/trace/track_event/*.proto`).

use prost::{Message, Oneof};
use std::collections::HashMap;

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<TracePacket>,
}

#[derive(Clone, PartialEq, Message)]
struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<TrackEvent>,
    #[prost(message, optional, tag = "12")]
    interned_data: Option<InternedData>,
    #[prost(uint32, optional, tag = "13")]
    sequence_flags: Option<u32>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<TrackDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackDescriptor {
    #[prost(uint64, optional, tag = "1")]
    uuid: Option<u64>,
    #[prost(message, optional, tag = "3")]
    process: Option<ProcessDescriptor>,
    #[prost(message, optional, tag = "4")]
    thread: Option<ThreadDescriptor>,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct ProcessDescriptor {
    #[prost(int32, optional, tag = "1")]
    pid: Option<i32>,
    #[prost(string, optional, tag = "6")]
    process_name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ThreadDescriptor {
    #[prost(int32, optional, tag = "1")]
    pid: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    tid: Option<i32>,
    #[prost(string, optional, tag = "5")]
    thread_name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackEvent {
    #[prost(message, repeated, tag = "4")]
    debug_annotations: Vec<DebugAnnotation>,
    #[prost(enumeration = "EventType", optional, tag = "9")]
    r#type: Option<i32>,
    #[prost(uint64, optional, tag = "10")]
    name_iid: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    track_uuid: Option<u64>,
    #[prost(string, repeated, tag = "22")]
    categories: Vec<String>,
    #[prost(fixed64, repeated, packed = "false", tag = "47")]
    flow_ids: Vec<u64>,
    #[prost(fixed64, repeated, packed = "false", tag = "48")]
    terminating_flow_ids: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum EventType {
    Unspecified = 0,
    SliceBegin = 1,
    SliceEnd = 2,
    Instant = 3,
    Counter = 4,
}

#[derive(Clone, PartialEq, Message)]
struct DebugAnnotation {
    #[prost(string, optional, tag = "10")]
    name: Option<String>,
    #[prost(oneof = "AnnotationValue", tags = "3, 6")]
    value: Option<AnnotationValue>,
}

#[derive(Clone, PartialEq, Oneof)]
enum AnnotationValue {
    #[prost(uint64, tag = "3")]
    Number(u64),
    #[prost(string, tag = "6")]
    Text(String),
}

#[derive(Clone, PartialEq, Message)]
struct InternedData {
    #[prost(message, repeated, tag = "2")]
    event_names: Vec<EventName>,
}

#[derive(Clone, PartialEq, Message)]
struct EventName {
    #[prost(uint64, optional, tag = "1")]
    iid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Begin,
    End,
    Instant,
}

/// An event, with its name.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) kind: Kind,
    pub(crate) track: u64,
    pub(crate) name: String,
    pub(crate) flows: Vec<u64>,
    pub(crate) last_of_flows: Vec<u64>,
    pub(crate) annotations: HashMap<String, String>,
}

/// A slice: what lies between its two events.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) track: u64,
    pub(crate) name: String,
    pub(crate) flows: Vec<u64>,
    pub(crate) last_of_flows: Vec<u64>,
    pub(crate) annotations: HashMap<String, String>,
}

/// A trace that has been read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) process: Option<i32>,
    /// The names of threads, by their tracks.
    pub(crate) tracks: HashMap<u64, String>,
    /// In the order of the file.
    pub(crate) events: Vec<Event>,
}

impl Read {
    /// Panics if it is no trace.
    pub(crate) fn of(bytes: &[u8]) -> Read {
        Read::try_of(bytes).expect("it is a trace")
    }

    /// Fails if it is not whole.
    pub(crate) fn try_of(bytes: &[u8]) -> Result<Read, prost::DecodeError> {
        let trace = Trace::decode(bytes)?;
        let mut read = Read::default();
        let (mut names, mut is_cleared) = (HashMap::new(), false);
        for packet in trace.packet {
            assert_eq!(packet.trusted_packet_sequence_id, Some(1), "of another sequence: {packet:?}");
            let flags = packet.sequence_flags.unwrap_or_default();
            is_cleared |= flags & 1 != 0;
            if flags & 2 != 0 {
                assert!(is_cleared, "names before the sequence has begun: {packet:?}");
            }
            for name in packet.interned_data.into_iter().flat_map(|data| data.event_names) {
                assert!(names.insert(name.iid, name.name.expect("a name")).is_none(), "a number twice");
            }
            if let Some(track) = packet.track_descriptor {
                let uuid = track.uuid.expect("a track has a number");
                if let Some(process) = track.process {
                    read.process = process.pid;
                    assert!(process.process_name.is_some());
                }
                if let Some(thread) = track.thread {
                    assert_eq!(thread.pid, read.process);
                    assert!(thread.tid.is_some() && track.parent_uuid.is_some());
                    read.tracks.insert(uuid, thread.thread_name.expect("a thread has a name"));
                }
            }
            if let Some(event) = packet.track_event {
                let kind = match event.r#type() {
                    EventType::SliceBegin => Kind::Begin,
                    EventType::SliceEnd => Kind::End,
                    EventType::Instant => Kind::Instant,
                    other => panic!("{other:?}"),
                };
                let name = event.name_iid.map(|iid| names[&Some(iid)].clone());
                assert_eq!(kind == Kind::End, name.is_none());
                assert_eq!(event.categories.len(), usize::from(name.is_some()));
                let annotations = event.debug_annotations.iter().map(|annotation| {
                    let value = match annotation.value.clone().expect("a value") {
                        AnnotationValue::Number(number) => number.to_string(),
                        AnnotationValue::Text(text) => text,
                    };
                    (annotation.name.clone().expect("a name"), value)
                });
                read.events.push(Event {
                    at: packet.timestamp.expect("a time"),
                    kind,
                    track: event.track_uuid.expect("a track"),
                    name: name.unwrap_or_default(),
                    annotations: annotations.collect(),
                    flows: event.flow_ids.clone(),
                    last_of_flows: event.terminating_flow_ids.clone(),
                });
            }
        }
        // Perfetto sorts by time, and keeps the order of what is at the same time; so does this.
        read.events.sort_by_key(|event| event.at);
        Ok(read)
    }

    /// The slices, by their ends.
    pub(crate) fn slices(&self) -> Vec<Slice> {
        let mut open: HashMap<u64, Event> = HashMap::new();
        let mut slices = Vec::new();
        for event in &self.events {
            match event.kind {
                Kind::Begin => _ = open.insert(event.track, event.clone()),
                Kind::Instant => {}
                Kind::End => {
                    let Event { at, track, name, flows, last_of_flows, annotations, .. } =
                        open.remove(&event.track).expect("it has begun");
                    slices.push(Slice {
                        begin: at,
                        end: event.at,
                        track,
                        name,
                        flows,
                        last_of_flows,
                        annotations,
                    });
                }
            }
        }
        slices
    }
}
