//! Names and rooms, which one goroutine has to itself.

use rendez::{
    Context,
    chan::{self, Receiver, Sender, TrySendError},
    net::TcpStream,
    select, yield_now,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A line as it is sent: one allocation, however many hear it.
pub(crate) type Line = Arc<str>;
/// Clients have numbers, which are not used again.
pub(crate) type Id = u64;

const LOBBY: &str = "lobby";
const LONGEST_NAME: usize = 32;
const HELP: &str =
    "* /join ROOM, /rooms, /who, /msg NAME TEXT, /help, /quit; anything else is said to the room";

/// What a client is reached by.
pub(crate) struct Outbox {
    pub(crate) queue: Sender<Line>,
    pub(crate) stream: Arc<TcpStream>,
    /// Whether the writer waits for the client to take something.
    pub(crate) is_stuck: Arc<AtomicBool>,
}

/// What is asked of the hub.
pub(crate) enum Request {
    /// To be let in under this name.
    Enter {
        name: String,
        outbox: Outbox,
        answer: Sender<Result<Id, String>>,
    },
    Do {
        id: Id,
        command: Command,
    },
    Leave {
        id: Id,
    },
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Say(String),
    Join(String),
    Message { to: String, text: String },
    Rooms,
    Who,
    Help,
    Wrong(String),
}

impl Command {
    /// What the line says; nothing if it is a farewell.
    pub(crate) fn parse(line: &str) -> Option<Command> {
        let line = line.trim();
        let Some(rest) = line.strip_prefix('/') else { return Some(Command::Say(line.into())) };
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let rest = rest.trim();
        Some(match word {
            "quit" => return None,
            "join" if !rest.is_empty() => Command::Join(rest.into()),
            "rooms" => Command::Rooms,
            "who" => Command::Who,
            "help" => Command::Help,
            "msg" => match rest.split_once(' ') {
                Some((to, text)) => Command::Message { to: to.into(), text: text.trim().into() },
                None => Command::Wrong("to whom, and what? /msg NAME TEXT".into()),
            },
            "join" => Command::Wrong("where to? /join ROOM".into()),
            _ => Command::Wrong(format!("there is no /{word}; /help tells what there is")),
        })
    }
}

struct Member {
    name: Arc<str>,
    room: Arc<str>,
    outbox: Outbox,
}

pub(crate) struct Hub {
    requests: Receiver<Request>,
    next: Id,
    members: HashMap<Id, Member>,
    names: HashMap<Arc<str>, Id>,
    /// Those with somebody in them.
    rooms: BTreeMap<Arc<str>, BTreeSet<Id>>,
    /// Who did not keep up, and is to be sent away.
    slow: Vec<Id>,
}

impl Hub {
    /// A hub, and the channel on which it is asked.
    pub(crate) fn new() -> (Hub, Sender<Request>) {
        let (tx, requests) = chan::bounded(64);
        let hub = Hub {
            requests,
            next: 0,
            members: HashMap::new(),
            names: HashMap::new(),
            rooms: BTreeMap::new(),
            slow: Vec::new(),
        };
        (hub, tx)
    }

    /// Until nobody is there any more who could ask; when `ctx` ends everybody is told, and nobody is let in.
    pub(crate) fn run(mut self, ctx: &Context) {
        let mut open = Some(ctx.done());
        loop {
            let request = select! {
                recv(self.requests) -> request => match request {
                    Ok(request) => Some(request),
                    Err(_) => return,
                },
                recv(open) -> _ => None,
            };
            // Asked in either case: readers end with the same context, and some may be faster to say so.
            if open.is_some() && ctx.err().is_some() {
                open = None;
                let farewell: Line = "* the server is closing: goodbye\n".into();
                let all: Vec<Id> = self.members.keys().copied().collect();
                all.into_iter().for_each(|id| self.tell(id, &farewell));
            }
            if let Some(request) = request {
                self.serve(request, open.is_some());
            }
            // Sending one away is news for others, who may be slow as well.
            while let Some(id) = self.slow.pop() {
                self.leave(id, "did not keep up, and was sent away");
            }
        }
    }

    fn serve(&mut self, request: Request, is_open: bool) {
        match request {
            Request::Enter { answer, .. } if !is_open => {
                let _ = answer.try_send(Err("the server is closing".into()));
            }
            Request::Enter { name, outbox, answer } => {
                let entered = self.enter(&name, outbox);
                let _ = answer.try_send(entered);
            }
            Request::Leave { id } => self.leave(id, "has left"),
            // One who has been sent away may still have asked for something.
            Request::Do { id, command } => {
                if self.members.contains_key(&id) {
                    self.obey(id, command);
                }
            }
        }
    }

    fn enter(&mut self, name: &str, outbox: Outbox) -> Result<Id, String> {
        check(name)?;
        if self.names.contains_key(name) {
            return Err(format!("{name} is there already: what else are you called?"));
        }
        let (id, name) = (self.next, Arc::<str>::from(name));
        self.next += 1;
        self.names.insert(name.clone(), id);
        self.members.insert(id, Member { name, room: LOBBY.into(), outbox });
        self.tell(id, &"* welcome; /help tells what you can do\n".into());
        self.arrive(id, LOBBY.into());
        Ok(id)
    }

    fn obey(&mut self, id: Id, command: Command) {
        let Member { name, room, .. } = &self.members[&id];
        let (name, room) = (name.clone(), room.clone());
        let answer = match command {
            Command::Say(text) if text.is_empty() => return,
            Command::Say(text) => return self.say(&room, Some(id), &format!("<{name}> {text}\n")),
            Command::Join(wanted) if *wanted == *room => format!("! you are in {room}"),
            Command::Join(wanted) => match check(&wanted) {
                Err(problem) => format!("! {problem}"),
                Ok(()) => {
                    self.depart(id);
                    self.say(&room, None, &format!("* {name} has gone to another room\n"));
                    return self.arrive(id, wanted.into());
                }
            },
            Command::Message { to, text } => match self.names.get(&*to) {
                Some(&other) => return self.tell(other, &format!("<{name}, to you> {text}\n").into()),
                None => format!("! there is no {to} here"),
            },
            Command::Rooms => {
                let rooms: Vec<_> =
                    self.rooms.iter().map(|(room, there)| format!("{room} ({})", there.len())).collect();
                format!("* {}", rooms.join(", "))
            }
            Command::Who => {
                let names: Vec<_> = self.rooms[&room].iter().map(|id| &*self.members[id].name).collect();
                format!("* in {room}: {}", names.join(", "))
            }
            Command::Help => HELP.into(),
            Command::Wrong(problem) => format!("! {problem}"),
        };
        self.tell(id, &(answer + "\n").into());
    }

    /// Puts one who is in no room into this.
    fn arrive(&mut self, id: Id, room: Arc<str>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.room = room.clone();
        let news = format!("* {} is in {room}\n", member.name);
        self.rooms.entry(room.clone()).or_default().insert(id);
        self.say(&room, None, &news);
    }

    /// Takes one out of the room that he is in.
    fn depart(&mut self, id: Id) {
        let Some(member) = self.members.get(&id) else { return };
        if let Some(there) = self.rooms.get_mut(&member.room) {
            there.remove(&id);
            if there.is_empty() {
                self.rooms.remove(&member.room);
            }
        }
    }

    fn leave(&mut self, id: Id, how: &str) {
        self.depart(id);
        let Some(Member { name, room, outbox }) = self.members.remove(&id) else { return };
        self.names.remove(&name);
        // What waits for him is still delivered, if he takes it.
        outbox.queue.close();
        self.say(&room, None, &format!("* {name} {how}\n"));
    }

    /// To all in the room, but not to who says it.
    fn say(&mut self, room: &str, by: Option<Id>, text: &str) {
        let line: Line = text.into();
        let Some(there) = self.rooms.get(room) else { return };
        let all: Vec<Id> = there.iter().copied().filter(|&id| Some(id) != by).collect();
        all.into_iter().for_each(|id| self.tell(id, &line));
    }

    /// Puts a line into somebody's queue. He is never waited for: who has no room for it is sent away. But his writer may only not have
    /// had its turn, while many had something to say; that is no fault of his.
    fn tell(&mut self, id: Id, line: &Line) {
        let Some(Member { outbox, .. }) = self.members.get(&id) else { return };
        let mut line = line.clone();
        while let Err(TrySendError::Full(unsent)) = outbox.queue.try_send(line) {
            if outbox.is_stuck.load(Ordering::Acquire) {
                outbox.queue.close();
                // His reader may wait for him, or have much of what he has said to go on with; his writer does wait.
                outbox.stream.close();
                self.slow.push(id);
                return;
            }
            line = unsent;
            yield_now();
        }
    }
}

/// Of persons and of rooms.
fn check(name: &str) -> Result<(), String> {
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    match name.chars().count() {
        0 => Err("a name has at least one letter".into()),
        n if n > LONGEST_NAME => Err(format!("a name has {LONGEST_NAME} letters at most")),
        _ if !is_plain => Err("names are made of letters, digits, `-` and `_`".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_said() {
        let say = |text: &str| Some(Command::Say(text.into()));
        assert_eq!(Command::parse(" hello /join "), say("hello /join"));
        assert_eq!(Command::parse("/join  den"), Some(Command::Join("den".into())));
        let message = Command::Message { to: "bob".into(), text: "how are you".into() };
        assert_eq!(Command::parse("/msg bob how are you"), Some(message));
        assert_eq!(Command::parse("/quit now"), None);
        for wrong in ["/", "/dance", "/msg bob", "/join"] {
            assert!(matches!(Command::parse(wrong), Some(Command::Wrong(_))), "{wrong}");
        }
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "Zoë-2", "_", "x".repeat(32).as_str()] {
            check(good).unwrap();
        }
        for bad in ["", "a b", "<a>", "x".repeat(33).as_str()] {
            check(bad).unwrap_err();
        }
    }
}
