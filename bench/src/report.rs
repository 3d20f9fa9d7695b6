//! From readings to medians, ratios, the table and the JSON.

use crate::{
    cases::{Better, Case, Unit},
    machine::Machine,
    peer::{Answer, Peer, go::NOT_INSTALLED},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The middle of the readings; the mean of the middle two when their number is even; NaN when there are none.
pub(crate) fn median(readings: &[f64]) -> f64 {
    let mut sorted = readings.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n.is_multiple_of(2) => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        n => sorted[n / 2],
    }
}

/// What one contestant read in one case, a reading a round.
#[derive(Debug)]
pub(crate) struct Column {
    peer: &'static str,
    readings: Vec<f64>,
    /// What it does otherwise than the definition says.
    differs: Option<&'static str>,
    /// Why there is no reading, now and in later rounds.
    why_not: Option<String>,
}

impl Column {
    /// Empty, for a contestant that has given this answer.
    pub(crate) fn new(peer: &'static str, answer: &Answer) -> Column {
        let (differs, why_not) = if answer.can() { (answer.note(), None) } else { (None, answer.note()) };
        Column { peer, readings: Vec::new(), differs, why_not: why_not.map(str::to_owned) }
    }

    /// Whether another reading can be expected.
    pub(crate) fn is_open(&self) -> bool {
        self.why_not.is_none()
    }

    /// Adds a round's reading.
    pub(crate) fn push(&mut self, reading: f64) {
        self.readings.push(reading);
    }

    /// There are no readings, for this reason.
    pub(crate) fn fail(&mut self, reason: String) {
        self.readings.clear();
        self.why_not = Some(reason);
    }

    /// Why there is no reading.
    pub(crate) fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    fn median(&self) -> Option<f64> {
        (!self.readings.is_empty()).then(|| median(&self.readings))
    }
}

/// One case's readings.
#[derive(Debug)]
pub(crate) struct Row {
    /// The case.
    pub(crate) case: &'static Case,
    /// A column for each contestant.
    pub(crate) columns: Vec<Column>,
    /// How many CPUs' worth of work the machine gave, at the start of each round.
    pub(crate) cpus_given: Vec<f64>,
}

impl Row {
    fn column(&self, peer: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.peer == peer)
    }

    /// A contestant's median.
    pub(crate) fn median(&self, peer: &str) -> Option<f64> {
        self.column(peer)?.median()
    }

    /// The Rust peer with the best median.
    fn best_peer(&self) -> Option<&Column> {
        let peers = self.columns.iter().filter(|c| !matches!(c.peer, "rendez" | "go"));
        let read = peers.filter(|column| !column.readings.is_empty());
        read.min_by(|a, b| {
            let (a, b) = (median(&a.readings), median(&b.readings));
            match self.case.better {
                Better::Lower => a.total_cmp(&b),
                Better::Higher => b.total_cmp(&a),
            }
        })
    }

    /// The median of the rounds' ratios of rendez to another contestant: below 1 means that rendez is ahead.
    fn ratio_to(&self, other: &Column) -> Option<f64> {
        let rendez = self.column("rendez")?;
        let rounds = rendez.readings.iter().zip(&other.readings);
        let ratios: Vec<f64> = rounds.map(|(&ours, &theirs)| ratio(self.case, ours, theirs)).collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    /// The ratio to Go.
    pub(crate) fn ratio_to_go(&self) -> Option<f64> {
        self.ratio_to(self.column("go")?)
    }

    /// The ratio to the best Rust peer.
    pub(crate) fn ratio_to_best_peer(&self) -> Option<f64> {
        self.ratio_to(self.best_peer()?)
    }

    /// What JSON says of the case.
    pub(crate) fn told(&self) -> ToldCase {
        let peers = self.columns.iter().filter(|column| !matches!(column.peer, "rendez" | "go"));
        let note = |c: &Column| match (c.why_not(), c.differs) {
            (Some(why), _) => Some((c.peer, format!("n/a: {why}"))),
            (None, Some(differs)) => Some((c.peer, differs.to_owned())),
            (None, None) => None,
        };
        ToldCase {
            case: self.case.name,
            unit: self.case.unit.name(),
            better: self.case.better.name(),
            rendez: self.median("rendez").map(rounded),
            go: self.median("go").map(rounded),
            peers: peers.filter_map(|c| Some((c.peer, rounded(c.median()?)))).collect(),
            ratio_to_go: self.ratio_to_go().map(rounded),
            ratio_to_best_peer: self.ratio_to_best_peer().map(rounded),
            rounds: self.columns.iter().map(|column| column.readings.len()).max().unwrap_or(0),
            cpus_given: rounded(median(&self.cpus_given)),
            notes: self.columns.iter().filter_map(note).collect(),
        }
    }
}

/// How rendez's reading compares with another: below 1 means that rendez is ahead.
pub(crate) fn ratio(case: &Case, rendez: f64, other: f64) -> f64 {
    let (rendez, other) = (rendez.max(case.floor()), other.max(case.floor()));
    match case.better {
        Better::Lower => rendez / other,
        Better::Higher => other / rendez,
    }
}

/// To four significant digits: more would be noise.
fn rounded(x: f64) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(x)
}

/// The geometric mean, `None` of nothing.
fn geometric_mean(ratios: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = ratios.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// The whole run, as JSON has it.
#[derive(Debug, Serialize)]
pub(crate) struct ToldRun {
    /// Where.
    pub(crate) machine: Machine,
    /// With what.
    pub(crate) versions: BTreeMap<String, String>,
    /// When.
    pub(crate) date: String,
    /// Whether at the smaller sizes.
    pub(crate) quick: bool,
    /// What came of it.
    pub(crate) cases: Vec<ToldCase>,
}

/// A case, as JSON has it.
#[derive(Debug, Serialize)]
pub(crate) struct ToldCase {
    pub(crate) case: &'static str,
    unit: &'static str,
    better: &'static str,
    pub(crate) rendez: Option<f64>,
    pub(crate) go: Option<f64>,
    pub(crate) peers: BTreeMap<&'static str, f64>,
    pub(crate) ratio_to_go: Option<f64>,
    pub(crate) ratio_to_best_peer: Option<f64>,
    rounds: usize,
    /// The median of what the machine gave in the rounds.
    cpus_given: f64,
    /// Who could not and why, and who did it otherwise and how.
    notes: BTreeMap<&'static str, String>,
}

/// The table on standard output, printed row by row as the readings come in.
#[derive(Debug)]
pub(crate) struct Table {
    peers: Vec<&'static str>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(peers: &[&'static Peer]) -> Table {
        Table { peers: peers.iter().map(|peer| peer.name).collect() }
    }

    /// The line of column names.
    pub(crate) fn head(&self) -> String {
        let mut line = format!("{:<23}{:<6}", "case", "unit");
        for peer in &self.peers {
            line += &format!("{peer:>width$}", width = width(peer));
        }
        line + &format!("{:>9}{:>9}", "/go", "/best")
    }

    /// The line of a case. A `*` marks a reading with a note.
    pub(crate) fn line(&self, row: &Row) -> String {
        let mut line = format!("{:<23}{:<6}", row.case.name, shown_unit(row.case.unit));
        for peer in &self.peers {
            let column = row.column(peer);
            let star = if column.is_some_and(|c| c.differs.is_some()) { '*' } else { ' ' };
            let shown = match column.and_then(Column::median) {
                Some(median) => format!("{}{star}", shown(row.case.unit, median)),
                None if column.and_then(Column::why_not) == Some(NOT_INSTALLED) => NOT_INSTALLED.into(),
                None => "n/a ".into(),
            };
            line += &format!("{shown:>width$}", width = width(peer));
        }
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "n/a".into(), |ratio| format!("{ratio:.2}"));
        line + &format!("{:>9}{:>9}", ratio(row.ratio_to_go()), ratio(row.ratio_to_best_peer()))
    }

    /// The geometric means, the machine and the notes.
    pub(crate) fn foot(&self, rows: &[Row], machine: &Machine) -> String {
        let mean = |mean: Option<f64>| mean.map_or_else(|| "n/a".into(), |mean| format!("{mean:.2}"));
        let go = mean(geometric_mean(rows.iter().filter_map(Row::ratio_to_go)));
        let best = mean(geometric_mean(rows.iter().filter_map(Row::ratio_to_best_peer)));
        let width: usize = 29 + self.peers.iter().map(|peer| width(peer)).sum::<usize>();
        let mut text = format!(
            "{:<width$}{go:>9}{best:>9}\n",
            "geometric mean of the ratios (below 1: rendez is ahead)"
        );
        let given: Vec<f64> = rows.iter().flat_map(|row| row.cpus_given.iter().copied()).collect();
        let least = given.iter().copied().fold(f64::INFINITY, f64::min);
        text += &format!(
            "CPUs that the machine gave meanwhile: {:.1} (median), {least:.1} (least)\n",
            median(&given)
        );
        text += &format!("The machine: {machine}\n");
        for (note, cases) in notes(rows) {
            text += &format!("\n{note}\n    {}", cases.join(", "));
        }
        text
    }
}

/// How wide a contestant's column is: Go's has to hold [`NOT_INSTALLED`].
fn width(peer: &str) -> usize {
    if peer == "go" { NOT_INSTALLED.len() + 1 } else { 11 }
}

/// Every note with the cases that it belongs to.
fn notes(rows: &[Row]) -> Vec<(String, Vec<&'static str>)> {
    let mut notes: Vec<(String, Vec<&'static str>)> = Vec::new();
    for row in rows {
        for column in &row.columns {
            let text = match (column.why_not(), column.differs) {
                (Some(why), _) => format!("n/a  {}: {why}", column.peer),
                (None, Some(differs)) => format!("*    {}: {differs}", column.peer),
                (None, None) => continue,
            };
            match notes.iter_mut().find(|(known, _)| *known == text) {
                Some((_, cases)) => cases.push(row.case.name),
                None => notes.push((text, vec![row.case.name])),
            }
        }
    }
    notes.sort_by_key(|(text, _)| text.starts_with('n'));
    notes
}

/// Whole runs are counted in nanoseconds and shown in milliseconds.
fn shown_unit(unit: Unit) -> &'static str {
    if unit == Unit::Ns { Unit::Ms.name() } else { unit.name() }
}

fn shown(unit: Unit, reading: f64) -> String {
    let reading = if unit == Unit::Ns { reading / 1e6 } else { reading };
    match reading {
        x if x < 10.0 => format!("{x:.2}"),
        x if x < 1000.0 => format!("{x:.1}"),
        x => format!("{x:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::find;

    fn row(case: &str, columns: &[(&'static str, &[f64])]) -> Row {
        let column = |&(peer, readings): &(&'static str, &[f64])| {
            let (differs, why_not) = (None, readings.is_empty().then(|| "not installed".to_owned()));
            Column { peer, readings: readings.to_vec(), differs, why_not }
        };
        Row {
            case: find(case).unwrap(),
            columns: columns.iter().map(column).collect(),
            cpus_given: vec![1.5],
        }
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_medians_of_the_rounds_ratios_and_not_ratios_of_medians() {
        let row = row("spsc_0", &[("rendez", &[10.0, 40.0, 20.0]), ("go", &[100.0, 100.0, 50.0])]);
        assert_eq!(row.ratio_to_go(), Some(0.4));
        assert_eq!(row.ratio_to_best_peer(), None);
    }

    #[test]
    fn where_more_is_better_the_ratio_is_inverted_and_the_best_is_the_highest() {
        let columns: [(&str, &[f64]); 4] =
            [("rendez", &[2.0]), ("go", &[1.0]), ("tokio", &[1.0]), ("kanal", &[1.6])];
        let row = row("speedup_workers", &columns);
        assert_eq!(row.ratio_to_go(), Some(0.5));
        assert_eq!(row.ratio_to_best_peer(), Some(0.8));
    }

    #[test]
    fn the_best_peer_is_neither_rendez_nor_go() {
        let columns: [(&str, &[f64]); 4] =
            [("rendez", &[5.0]), ("go", &[1.0]), ("tokio", &[20.0]), ("may", &[10.0])];
        assert_eq!(row("seq_1", &columns).ratio_to_best_peer(), Some(0.5));
    }

    #[test]
    fn readings_below_what_can_be_told_from_noise_count_as_that_much() {
        let row = row("idle_cpu", &[("rendez", &[0.0]), ("go", &[0.2]), ("tokio", &[0.0])]);
        assert_eq!((row.ratio_to_go(), row.ratio_to_best_peer()), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn the_json_of_a_case_has_the_agreed_shape() {
        let row = row("spawn_seq", &[("rendez", &[71.0]), ("go", &[310.2]), ("tokio", &[322.0])]);
        let told = serde_json::to_value(row.told()).unwrap();
        let expected = serde_json::json!({
            "case": "spawn_seq", "unit": "ns/op", "better": "lower", "rendez": 71.0, "go": 310.2,
            "peers": {"tokio": 322.0}, "ratio_to_go": 0.2289, "ratio_to_best_peer": 0.2205, "rounds": 1,
            "cpus_given": 1.5, "notes": {},
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn without_go_its_reading_and_ratio_are_null_and_the_reason_is_told() {
        let row = row("spawn_seq", &[("rendez", &[71.0]), ("go", &[])]);
        let told = serde_json::to_value(row.told()).unwrap();
        assert!(told["go"].is_null() && told["ratio_to_go"].is_null());
        assert_eq!(told["notes"]["go"], "n/a: not installed");
        let table = Table { peers: vec!["rendez", "go"] };
        assert!(table.line(&row).contains(" not installed      n/a"), "{}", table.line(&row));
        let foot = table.foot(
            &[row],
            &Machine { cpu: "Some CPU".into(), caches: String::new(), cpus: 2, kernel: "linux".into() },
        );
        assert!(foot.contains("go: not installed\n    spawn_seq"));
        assert!(foot.contains("\nThe machine: Some CPU, 2 CPUs, linux\n"), "{foot}");
    }

    #[test]
    fn the_geometric_mean_of_a_half_and_a_double_is_one() {
        assert_eq!(geometric_mean([0.5, 2.0].into_iter()), Some(1.0));
        assert_eq!(geometric_mean(std::iter::empty()), None);
    }

    #[test]
    fn the_lines_of_the_table_are_as_wide_as_its_head() {
        let table = Table { peers: vec!["rendez", "go"] };
        let row = row("sieve", &[("rendez", &[82e6]), ("go", &[277e6])]);
        let line = table.line(&row);
        assert_eq!(line.len(), table.head().len());
        assert!(line.contains("82.0") && line.contains("277.0") && line.contains("0.30"), "{line}");
    }
}
