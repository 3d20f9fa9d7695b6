//! sqlx on SQLite from goroutines, OS threads and async goroutines.

#[path = "../../tokio/tests/worlds/mod.rs"]
mod worlds;

use futures_util::TryStreamExt;
use rendez::{Context, ContextError, Runtime, go, sync::WaitGroup};
use sqlx::{
    Connection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use worlds::{in_every_world, in_time};

/// Numbers without end, a row for each.
const WITHOUT_END: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
/// The same, counted: no row ever comes.
const NO_ROW: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/// A database in a directory of its own.
struct Database {
    pool: SqlitePool,
    _dir: TempDir,
}

impl Database {
    fn new(connections: u32) -> Database {
        let dir = TempDir::new().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("test.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // There is one writer at a time, and the machine may be slow.
            .busy_timeout(Duration::from_secs(60));
        let pool =
            SqlitePoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(60));
        let pool = rendez_tokio::block_on(async {
            let pool = pool.connect_with(options).await.unwrap();
            sqlx::query("CREATE TABLE account (name INTEGER PRIMARY KEY, sum INTEGER)")
                .execute(&pool)
                .await
                .unwrap();
            pool
        });
        Database { pool, _dir: dir }
    }
}

async fn count(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM account").fetch_one(pool).await.unwrap()
}

async fn insert(pool: &SqlitePool, name: i64, sum: i64) {
    sqlx::query("INSERT INTO account VALUES (?, ?)").bind(name).bind(sum).execute(pool).await.unwrap();
}

#[test]
fn many_insert_and_query_at_once_in_every_world() {
    let database = Database::new(4);
    let (pool, names) = (database.pool.clone(), Arc::new(AtomicI64::new(0)));
    let made = names.clone();
    in_every_world(30, move |_| {
        let (pool, names) = (pool.clone(), names.clone());
        async move {
            for _ in 0..3 {
                let name = names.fetch_add(1, Ordering::SeqCst);
                insert(&pool, name, name * 2).await;
                let sum: i64 = sqlx::query_scalar("SELECT sum FROM account WHERE name = ?")
                    .bind(name)
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                assert_eq!(sum, name * 2);
            }
        }
    });
    rendez_tokio::block_on(async {
        assert_eq!(count(&database.pool).await, made.load(Ordering::SeqCst));
        database.pool.close().await;
    });
}

#[test]
fn a_transaction_is_whole_or_nothing_also_when_it_is_dropped_half_way() {
    let database = Database::new(4);
    let pool = database.pool.clone();
    rendez_tokio::block_on(async {
        for name in 0..10 {
            insert(&pool, name, 100).await;
        }
    });
    in_every_world(20, move |i| {
        let pool = pool.clone();
        async move {
            let (from, to) = (i as i64 % 10, (i as i64 + 3) % 10);
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            for (name, change) in [(from, -1), (to, 1)] {
                sqlx::query("UPDATE account SET sum = sum + ? WHERE name = ?")
                    .bind(change)
                    .bind(name)
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                if i % 2 == 0 && change < 0 {
                    // Rolled back by the destructor.
                    return;
                }
            }
            transaction.commit().await.unwrap();
        }
    });
    let sums: Vec<i64> = rendez_tokio::block_on(async {
        sqlx::query_scalar("SELECT sum FROM account").fetch_all(&database.pool).await.unwrap()
    });
    assert_eq!((sums.len(), sums.iter().sum::<i64>()), (10, 1000), "{sums:?}");
}

#[test]
fn a_query_that_is_cancelled_in_the_middle_leaves_the_pool_as_good_as_before() {
    // One connection alone: it has to be the same that is used afterwards.
    let database = Database::new(1);
    let pool = database.pool.clone();
    in_every_world(3, move |_| {
        let pool = pool.clone();
        async move {
            let (ctx, cancel) = Context::background().with_cancel();
            let mut seen = 0_i64;
            let queried = ctx
                .within(async {
                    let mut rows = sqlx::query_scalar::<_, i64>(WITHOUT_END).fetch(&pool);
                    while let Some(i) = rows.try_next().await.unwrap() {
                        seen += 1;
                        assert_eq!(i, seen);
                        if seen == 100 {
                            cancel.cancel();
                        }
                    }
                })
                .await;
            assert_eq!(queried, Err(ContextError::Canceled));
            assert!(seen >= 100, "{seen}");
            assert_eq!(count(&pool).await, 0);
        }
    });
}

#[test]
fn one_who_waits_for_a_connection_can_give_up() {
    let database = Database::new(1);
    let pool = database.pool.clone();
    in_every_world(1, move |_| {
        let pool = pool.clone();
        async move {
            let held = pool.acquire().await.unwrap();
            let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(20));
            let acquired = ctx.within(pool.acquire()).await;
            assert!(matches!(acquired, Err(ContextError::DeadlineExceeded)));
            drop(held);
            assert_eq!(count(&pool).await, 0);
        }
    });
}

#[test]
fn a_query_that_has_no_row_to_give_is_interrupted_by_its_context() {
    let database = Database::new(1);
    let pool = database.pool.clone();
    // Such a query goes on, on its connection's thread, when nobody waits for it any more; but SQLite asks now and then.
    in_every_world(2, move |_| {
        let pool = pool.clone();
        async move {
            let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(30));
            let mut connection = pool.acquire().await.unwrap();
            let asked = ctx.clone();
            connection.lock_handle().await.unwrap().set_progress_handler(1000, move || asked.err().is_none());
            let error = sqlx::query_scalar::<_, i64>(NO_ROW).fetch_one(&mut *connection).await.unwrap_err();
            assert!(error.to_string().contains("interrupted"), "{error}");
            assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
            connection.lock_handle().await.unwrap().remove_progress_handler();
            connection.ping().await.unwrap();
            drop(connection);
            assert_eq!(count(&pool).await, 0);
        }
    });
}

#[test]
fn goroutines_with_plain_calls_fill_a_table_on_one_worker() {
    let database = Database::new(4);
    in_time("one worker", move || {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let all = WaitGroup::new();
            for name in 0..100 {
                let pool = database.pool.clone();
                all.go(move || rendez_tokio::block_on(insert(&pool, name, 1)));
            }
            all.wait();
            assert_eq!(rendez_tokio::block_on(count(&database.pool)), 100);
        });
    });
}

/// What the guide says not to do, and why: the destructor of a connection of the pool's wants tokio's context.
#[test]
fn a_connection_is_dropped_within_the_context() {
    let database = Database::new(1);
    let pool = database.pool.clone();
    in_time("drops", move || {
        Runtime::builder().workers(1).build().unwrap().run(|| {
            let acquire = || rendez_tokio::block_on(pool.acquire()).unwrap();
            let connection = acquire();
            let outside = go(move || drop(connection)).join();
            assert!(outside.unwrap_err().is_panic(), "without context");
            let connection = acquire();
            rendez_tokio::enter(|| drop(connection));
            assert_eq!(rendez_tokio::block_on(count(&pool)), 0);
        });
    });
}
