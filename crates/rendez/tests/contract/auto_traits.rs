//! Which types may go to another thread, be shared, and be seen across a caught panic: a table, checked by the compiler.
#![cfg(not(loom))]

use rendez::{
    Builder, CancelFunc, Context, ContextError, JoinError, JoinHandle, LocalJoinHandle, Placement, Runtime,
    RuntimeBuilder, Scope, ScopedJoinHandle, StopFunc,
    chan::{
        IntoIter, Iter, Receiver, RecvFuture, RecvStream, SendError, SendFuture, SendTimeoutError, Sender,
        TryIter, TrySendError,
    },
    select::Occurrence,
    sync::{
        Barrier, Cond, CondFuture, Group, LockEvent, LockFuture, Mutex, MutexGuard, Once, OnceValue, Permit,
        Pool, PoolGuard, ReadFuture, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SingleFlight,
        WaitGroup, WaitGroupFuture,
    },
    time::{Instant, Ticker, Timer},
};
use std::{
    cell::Cell,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    rc::Rc,
};

/// Neither `Send` nor `Sync`.
type Local = Rc<()>;
/// `Send` and not `Sync`.
type Single = Cell<u8>;

/// Asks whether a type has a trait, without demanding it: the inherent constant is preferred where its bound holds, and
/// else the trait's is found.
macro_rules! has {
    ($type:ty: $trait:ident) => {{
        struct Asked<T: ?Sized>(PhantomData<T>);
        #[allow(dead_code, reason = "not asked where the inherent constant is there")]
        trait Otherwise {
            const YES: bool = false;
        }
        impl<T: ?Sized> Otherwise for Asked<T> {}
        #[allow(dead_code, reason = "found only where the trait is there")]
        impl<T: ?Sized + $trait> Asked<T> {
            const YES: bool = true;
        }
        <Asked<$type>>::YES
    }};
}

macro_rules! table {
    ($($type:ty: $send:literal $sync:literal,)*) => {
        $(
            assert_eq!(has!($type: Send), $send, "{}: Send", stringify!($type));
            assert_eq!(has!($type: Sync), $sync, "{}: Sync", stringify!($type));
        )*
    };
}

#[test]
fn the_question_is_answered_rightly() {
    table! {
        u8: true true,
        Single: true false,
        Local: false false,
        std::sync::MutexGuard<'static, u8>: false true,
    }
}

#[test]
fn handles_go_where_their_results_may_go() {
    table! {
        JoinHandle<u8>: true true,
        JoinHandle<Single>: true true,
        JoinHandle<Local>: false false,
        ScopedJoinHandle<'static, u8>: true true,
        ScopedJoinHandle<'static, Single>: true true,
        ScopedJoinHandle<'static, Local>: false false,
        LocalJoinHandle<u8>: false false,
        LocalJoinHandle<Local>: false false,
        JoinError: true true,
        Scope<'static, 'static>: true true,
    }
}

#[test]
fn endpoints_go_where_their_values_may_go() {
    table! {
        Sender<u8>: true true,
        Sender<Single>: true true,
        Sender<Local>: false false,
        Receiver<u8>: true true,
        Receiver<Single>: true true,
        Receiver<Local>: false false,
        Iter<'static, u8>: true true,
        Iter<'static, Local>: false false,
        TryIter<'static, Single>: true true,
        IntoIter<Single>: true true,
        IntoIter<Local>: false false,
    }
}

#[test]
fn errors_are_what_the_values_that_they_give_back_are() {
    table! {
        SendError<u8>: true true,
        SendError<Single>: true false,
        SendError<Local>: false false,
        TrySendError<Single>: true false,
        SendTimeoutError<Local>: false false,
    }
}

#[test]
fn futures_go_where_their_values_may_go() {
    table! {
        SendFuture<'static, u8>: true true,
        SendFuture<'static, Single>: true true,
        SendFuture<'static, Local>: false false,
        RecvFuture<'static, u8>: true true,
        RecvFuture<'static, Single>: true true,
        RecvFuture<'static, Local>: false false,
        RecvStream<'static, Single>: true true,
        RecvStream<'static, Local>: false false,
        WaitGroupFuture<'static>: true true,
    }
    // They point into themselves once they are polled.
    assert!(!has!(SendFuture<'static, u8>: Unpin));
    assert!(!has!(RecvFuture<'static, u8>: Unpin));
    assert!(!has!(WaitGroupFuture<'static>: Unpin));
}

#[test]
fn a_pool_may_be_shared_where_its_objects_may_go() {
    table! {
        Pool<u8>: true true,
        Pool<Single>: true true,
        Pool<Local>: false false,
        PoolGuard<'static, u8>: true true,
        PoolGuard<'static, Single>: true false,
        PoolGuard<'static, Local>: false false,
    }
}

#[test]
fn locks_may_be_shared_where_their_values_may_go_and_guards_where_they_may_be_seen() {
    table! {
        Mutex<u8>: true true,
        Mutex<Single>: true true,
        Mutex<Local>: false false,
        MutexGuard<'static, u8>: true true,
        MutexGuard<'static, Single>: true false,
        MutexGuard<'static, Local>: false false,
        LockEvent<'static, u8>: true true,
        LockEvent<'static, Local>: false false,
        LockFuture<'static, Single>: true true,
        LockFuture<'static, Local>: false false,
        RwLock<u8>: true true,
        RwLock<Single>: true false,
        RwLock<Local>: false false,
        RwLockReadGuard<'static, u8>: true true,
        RwLockReadGuard<'static, Single>: false false,
        RwLockWriteGuard<'static, u8>: true true,
        RwLockWriteGuard<'static, Single>: false false,
        ReadFuture<'static, u8>: true true,
        ReadFuture<'static, Single>: false false,
        Cond: true true,
        CondFuture<'static, u8>: true true,
        CondFuture<'static, Local>: false false,
        Semaphore: true true,
        Permit<'static>: true true,
        Barrier: true true,
    }
    assert!(!has!(LockFuture<'static, u8>: Unpin));
    assert!(has!(MutexGuard<'static, Single>: UnwindSafe) && has!(Mutex<Single>: RefUnwindSafe));
}

#[test]
fn contexts_groups_and_timers_may_be_shared() {
    table! {
        Context: true true,
        CancelFunc: true true,
        StopFunc: true true,
        ContextError: true true,
        Group<u8>: true true,
        Group<Single>: true true,
        Group<Local>: false false,
        Timer: true true,
        Ticker: true true,
    }
    assert!(has!(Context: UnwindSafe) && has!(Context: RefUnwindSafe) && has!(CancelFunc: UnwindSafe));
}

#[test]
fn runtimes_and_groups_may_be_shared() {
    table! {
        Runtime: true true,
        RuntimeBuilder: true true,
        Builder: true true,
        Placement: true true,
        WaitGroup: true true,
        Once: true true,
        Occurrence<'static>: true true,
        OnceValue<u8>: true true,
        OnceValue<Single>: true false,
        OnceValue<Local>: false false,
        OnceValue<u8, fn() -> u8>: true true,
        OnceValue<u8, Local>: false false,
        SingleFlight<u8, u8>: true true,
        SingleFlight<Single, u8>: false false,
        SingleFlight<u8, Single>: false false,
        Instant: true true,
    }
}

#[test]
fn handles_may_be_used_on_both_sides_of_a_caught_panic_as_the_standard_librarys_may() {
    macro_rules! unwind_safe {
        ($($type:ty,)*) => {
            $(
                assert!(has!($type: UnwindSafe), "{}", stringify!($type));
                assert!(has!($type: RefUnwindSafe), "{}", stringify!($type));
            )*
        };
    }
    unwind_safe! {
        JoinHandle<u8>,
        JoinHandle<Single>,
        ScopedJoinHandle<'static, Single>,
        LocalJoinHandle<Local>,
        Sender<Single>,
        Sender<Local>,
        Sender<&'static mut Single>,
        Receiver<Single>,
        Receiver<Local>,
        Receiver<&'static mut Single>,
        Iter<'static, Single>,
        TryIter<'static, Single>,
        IntoIter<Single>,
        WaitGroup,
        Once,
        OnceValue<u8>,
        Runtime,
        RuntimeBuilder,
        Builder,
    }
}
