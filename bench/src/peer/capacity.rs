//! How much the channel of a case holds, which the end of the case's name says.

/// As the definitions of the cases have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capacity {
    /// `spsc_128`.
    Fixed(usize),
    /// `spsc_n`: all messages of a run.
    All,
    /// `spsc_unbounded`.
    Unbounded,
}

impl Capacity {
    /// The capacity of a channel for a run of `n` messages, if it has one.
    pub(super) fn of_run(self, n: u64) -> Option<usize> {
        match self {
            Capacity::Fixed(capacity) => Some(capacity),
            Capacity::All => Some(n as usize),
            Capacity::Unbounded => None,
        }
    }
}

/// The cases whose names end with a capacity. Others end with a number, too: `pipeline_8` has eight stages, with a rendezvous between.
const KINDS: [&str; 6] = ["seq", "spsc", "mpsc", "mpmc", "select", "select_both"];

/// What a case does with its channel, and the channel's capacity: `mpsc` and 128 of `mpsc_128`.
pub(super) fn split(case: &str) -> Option<(&str, Capacity)> {
    let (kind, end) = case.rsplit_once('_')?;
    if !KINDS.contains(&kind.strip_prefix("async_").unwrap_or(kind)) {
        return None;
    }
    let capacity = match end {
        "n" => Capacity::All,
        "unbounded" => Capacity::Unbounded,
        number => Capacity::Fixed(number.parse().ok()?),
    };
    Some((kind, capacity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_is_the_capacity() {
        assert_eq!(split("mpsc_128"), Some(("mpsc", Capacity::Fixed(128))));
        assert_eq!(split("select_both_n"), Some(("select_both", Capacity::All)));
        assert_eq!(split("seq_unbounded"), Some(("seq", Capacity::Unbounded)));
        assert_eq!(split("async_spsc_0"), Some(("async_spsc", Capacity::Fixed(0))));
        assert_eq!(split("pipeline_8"), None);
        assert_eq!(split("ping_pong"), None);
        assert_eq!(split("sieve"), None);
    }

    #[test]
    fn a_channel_for_all_messages_grows_with_the_run() {
        let of_run = |capacity: Capacity| [10, 1000].map(|n| capacity.of_run(n));
        assert_eq!(of_run(Capacity::Fixed(1)), [Some(1); 2]);
        assert_eq!(of_run(Capacity::All), [Some(10), Some(1000)]);
        assert_eq!(of_run(Capacity::Unbounded), [None; 2]);
    }
}
