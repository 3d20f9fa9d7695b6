//! `words`: an index of the words in text files, kept in SQLite by `sqlx`.
//!
//! ```text
//! cargo run --release --bin words -- index words.db README.md docs/*.md
//! cargo run --release --bin words -- find words.db goroutine
//! ```
//!
//! * Each file has a goroutine, which reads and counts; a semaphore bounds how many are in memory. One more, the main one, writes: SQLite has one
//!   writer at a time anyway. They meet at a rendezvous channel.
//! * Each file is a transaction: it is in the index as it is now, or as it was. At Ctrl-C and SIGTERM what is under way is rolled back.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use rendez::{
    Context, ContextError, Event, chan, fs, go,
    signal::{self, Signal},
    sync::Semaphore,
};
use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

const AFTER_LONG_HELP: &str = "\
Words are runs of letters and digits, in small letters. Files that are not UTF-8 are read as if they were, with marks for what is not.

Exit status:
  0    done; `find`: there are such files
  1    some files could not be read, or something else went wrong; `find`: there are none
  2    wrong usage
  130  interrupted: files that were done are in the index, others are as they were";

/// Keeps an index of the words in text files.
#[derive(Debug, Parser)]
#[command(name = "words", version, after_long_help = AFTER_LONG_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Takes files into the index, anew where they have been before
    Index {
        /// The index; it is made if it is not there
        database: PathBuf,
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How many files may be in memory at once
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
        at_once: u32,
    },
    /// Lists the files that have a word, those that have it most first
    Find { database: PathBuf, word: String },
    /// Lists the words that there are most of
    Top {
        database: PathBuf,
        #[arg(default_value_t = 10)]
        number: u32,
    },
}

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match rendez::run(|| run(&cli.command)) {
        Ok(status) => status,
        Err(error) if matches!(error.downcast_ref(), Some(ContextError::Canceled)) => ExitCode::from(130),
        Err(error) => {
            eprintln!("words: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    let signals = signal::notify([Signal::TERMINATE, Signal::INTERRUPT])?;
    let (ctx, stop) = Context::background().with_cancel();
    go(move || {
        if signals.recv().is_ok() {
            stop.cancel();
        }
    });
    match command {
        Command::Index { database, files, at_once } => {
            let index = Index::open(&ctx, database, true)?;
            let is_whole = index.take(&ctx, files, *at_once as usize);
            index.close();
            Ok(if is_whole? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Find { database, word } => list(
            &ctx,
            database,
            "SELECT count, file FROM word WHERE word = ? ORDER BY count DESC, file",
            &word.to_lowercase(),
        ),
        Command::Top { database, number } => {
            let query = "SELECT sum(count), word FROM word GROUP BY word ORDER BY sum(count) DESC, word LIMIT CAST(? AS INTEGER)";
            list(&ctx, database, query, &number.to_string())
        }
    }
}

/// Prints the rows of a query, of a number and a text; whether there are any.
fn list(ctx: &Context, database: &Path, query: &'static str, argument: &str) -> Result<ExitCode, Failure> {
    let index = Index::open(ctx, database, false)?;
    let rows = rendez_tokio::block_on(ctx.within(sqlx::query(query).bind(argument).fetch_all(&index.pool)));
    index.close();
    let rows = rows??;
    let mut out = io::stdout().lock();
    for row in &rows {
        writeln!(out, "{:>8} {}", row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?)?;
    }
    Ok(if rows.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Index {
    pool: SqlitePool,
}

impl Index {
    fn open(ctx: &Context, database: &Path, makes: bool) -> Result<Index, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .create_if_missing(makes)
            .journal_mode(SqliteJournalMode::Wal);
        let opened = rendez_tokio::block_on(ctx.within(async {
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            if makes {
                let table = "CREATE TABLE IF NOT EXISTS word (word TEXT, file TEXT, count INTEGER, PRIMARY KEY (word, file)) WITHOUT ROWID";
                sqlx::query(table).execute(&pool).await?;
            }
            Ok::<_, sqlx::Error>(pool)
        }));
        let pool = opened?.map_err(|error| format!("{}: {error}", database.display()))?;
        Ok(Index { pool })
    }

    fn close(&self) {
        rendez_tokio::block_on(self.pool.close());
    }

    /// Takes these files in; whether all of them could be read.
    fn take(&self, ctx: &Context, files: &[PathBuf], at_once: usize) -> Result<bool, Failure> {
        let places = Arc::new(Semaphore::new(at_once));
        let (counted, arrive) = chan::bounded(0);
        for file in files {
            let (ctx, places, counted, file) = (ctx.clone(), places.clone(), counted.clone(), file.clone());
            go(move || {
                let Ok(_place) = ctx.bound(places.acquire_event(1)).wait() else { return };
                let words = fs::read(&file).map(|bytes| words_in(&String::from_utf8_lossy(&bytes)));
                let _ = ctx.bound(counted.send_event((file, words))).wait();
            });
        }
        drop(counted);
        let mut all = true;
        while let Ok((file, words)) = ctx.bound(arrive.recv_event()).wait()? {
            match words {
                Ok(words) => self.put(ctx, &file, &words)?,
                Err(error) => {
                    eprintln!("words: {error}");
                    all = false;
                }
            }
        }
        Ok(all)
    }

    /// One file, in one transaction.
    fn put(&self, ctx: &Context, file: &Path, words: &BTreeMap<String, i64>) -> Result<(), Failure> {
        let file = file.to_string_lossy();
        // The transaction is made and dropped in here: its destructor wants tokio's context as well.
        rendez_tokio::block_on(ctx.within(async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query("DELETE FROM word WHERE file = ?").bind(&*file).execute(&mut *transaction).await?;
            for (word, count) in words {
                let insert = sqlx::query("INSERT INTO word (word, file, count) VALUES (?, ?, ?)");
                insert.bind(word).bind(&*file).bind(count).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        }))??;
        Ok(())
    }
}

fn words_in(text: &str) -> BTreeMap<String, i64> {
    let mut words = BTreeMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *words.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_small_letters() {
        let words = words_in("Go, go-go; don't go2.");
        let expected = [("don", 1), ("go", 3), ("go2", 1), ("t", 1)];
        assert!(words.iter().map(|(word, count)| (word.as_str(), *count)).eq(expected));
    }
}
