//! What the rest of the library relies on. Whatever ends in a fault or changes the process is run in a child: the same test
//! again, alone, in a process of its own.

use std::collections::{BTreeSet, HashSet};
use std::env;
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Instant;

use corosensei::Coroutine;
use corosensei::stack::{STACK_ALIGNMENT, Stack as _};

use super::bits::Bits;
use super::error::Limit;
use super::guard::{Budget, VMAS_PER_GUARD};
use super::mem::page_size;
use super::pool::GRACE;
use super::slab::{COLOUR_STEP, COLOURS};
use super::*;

const SMALL: usize = 64 * 1024;
const CHILD: &str = "RENDEZ_STACK_TEST_CHILD";

fn light(size: usize) -> Arc<Pool> {
    Pool::with_guard_mode(size, GuardMode::Lightweight)
}

fn many(pool: &Arc<Pool>, n: usize) -> Vec<Stack> {
    (0..n).map(|_| pool.allocate().expect("a stack")).collect()
}

/// Writes a word below `top`, which lies inside a stack.
fn write(top: usize, value: usize) {
    let place = std::ptr::with_exposed_provenance_mut::<usize>(top - size_of::<usize>());
    // SAFETY: the callers pass addresses inside a stack that they hold (or one that faults, in a child made for it);
    // it is mapped, aligned, and nobody else's.
    unsafe { place.write_volatile(value) }
}

/// Reads the word below `top`.
fn read(top: usize) -> usize {
    let place = std::ptr::with_exposed_provenance::<usize>(top - size_of::<usize>());
    // SAFETY: as in `write`; fresh memory of a mapping reads as zero.
    unsafe { place.read_volatile() }
}

fn touch(stack: &Stack) {
    write(stack.base().get(), 1);
}

/// How many pages of the address range are in memory.
fn resident(start: NonZeroUsize, len: usize) -> usize {
    let mut pages = vec![0_u8; len / page_size()];
    let start = std::ptr::with_exposed_provenance_mut(start.get());
    // SAFETY: the vector has a byte for each page of the range; the kernel checks the range itself.
    let result = unsafe { libc::mincore(start, len, pages.as_mut_ptr().cast()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    pages.iter().filter(|&&page| page & 1 == 1).count()
}

/// In the parent: runs the test of this name again in a child, and returns its end and what it said. In the child: `None`.
fn in_child(test: &str, variant: &str) -> Option<(ExitStatus, String)> {
    if env::var_os(CHILD).is_some() {
        return None;
    }
    let module = module_path!().split_once("::").map_or("", |(_, path)| path);
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", &format!("{module}::{test}"), "--nocapture", "--test-threads=1"])
        .env(CHILD, variant)
        .output()
        .expect("a child");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("running 1 test"), "the child ran no test of this name: {said}");
    Some((output.status, said.into_owned()))
}

fn variant() -> String {
    env::var(CHILD).expect("in a child")
}

fn mode_of(variant: &str) -> GuardMode {
    if variant.starts_with("light") { GuardMode::Lightweight } else { GuardMode::Protect }
}

#[test]
fn a_size_is_rounded_up_to_the_page() {
    let page = page_size();
    let least = MIN_STACK_SIZE.next_multiple_of(page).max(2 * page);
    assert_eq!(check_size(MIN_STACK_SIZE).unwrap(), least);
    assert_eq!(check_size(SMALL + 1).unwrap(), SMALL + page);
    assert_eq!(check_size(DEFAULT_STACK_SIZE).unwrap(), DEFAULT_STACK_SIZE);
    assert_eq!(check_size(MAX_STACK_SIZE).unwrap(), MAX_STACK_SIZE);
}

#[test]
fn a_size_out_of_bounds_is_refused_and_says_what_to_ask_for() {
    for (size, advice) in [(0, "at least 16384"), (MIN_STACK_SIZE - 1, "at least 16384")]
        .into_iter()
        .chain([(MAX_STACK_SIZE + 1, "at most 1073741824"), (usize::MAX, "at most 1073741824")])
    {
        let error = pool(size).unwrap_err();
        assert!(error.to_string().contains(advice), "{error}");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn sizes_that_round_to_the_same_share_a_pool() {
    let (a, b, c) = (pool(SMALL - 1).unwrap(), pool(SMALL).unwrap(), pool(SMALL + 1).unwrap());
    assert!(Arc::ptr_eq(&a, &b));
    assert!(!Arc::ptr_eq(&b, &c));
}

#[test]
fn a_stack_is_two_words_and_may_change_threads() {
    fn send<T: Send + 'static>() {}
    send::<Stack>();
    assert!(size_of::<Stack>() <= 16);
    assert_eq!(size_of::<Option<Stack>>(), size_of::<Stack>());
}

#[test]
fn the_stack_freed_last_is_handed_out_next() {
    let pool = light(SMALL);
    let mut stacks = many(&pool, 40);
    let (a, b) = (stacks.swap_remove(30), stacks.swap_remove(3));
    let (at_a, at_b) = (a.limit(), b.limit());
    drop(a);
    drop(b);
    let (first, second) = (pool.allocate().unwrap(), pool.allocate().unwrap());
    assert_eq!((first.limit(), second.limit()), (at_b, at_a));
}

#[test]
fn a_coroutine_runs_on_a_stack_and_the_stack_can_be_used_again() {
    let pool = light(SMALL);
    let mut stack = pool.allocate().unwrap();
    for round in 0..3_usize {
        let mut coroutine = Coroutine::<usize, usize, usize, Stack>::with_stack(stack, |yielder, input| {
            input + yielder.suspend(input * 2)
        });
        assert_eq!(coroutine.resume(round).as_yield(), Some(round * 2));
        assert_eq!(coroutine.resume(10).as_return(), Some(round + 10));
        stack = coroutine.into_stack();
    }
    assert_eq!(stack.size(), SMALL);
}

#[test]
fn tops_are_aligned_and_spread_over_the_cache_sets() {
    let pool = light(SMALL);
    let stacks = many(&pool, 4 * COLOURS);
    let mut colours = HashSet::new();
    for stack in &stacks {
        let (base, limit) = (stack.base().get(), stack.limit().get());
        assert!(base.is_multiple_of(STACK_ALIGNMENT) && base.is_multiple_of(COLOUR_STEP));
        assert!(limit.is_multiple_of(page_size()));
        let colour = limit + stack.size() - base;
        assert!(colour < 1024);
        colours.insert(colour);
    }
    assert_eq!(colours.len(), COLOURS);
    // Those of the first slab.
    let first = &stacks[..16];
    let pages: HashSet<usize> =
        first.iter().map(|stack| stack.limit().get() / page_size() % first.len()).collect();
    assert_eq!(pages.len(), first.len(), "each page in a set of its own");
}

#[test]
fn no_two_stacks_overlap() {
    let pool = light(MIN_STACK_SIZE);
    let stacks = many(&pool, 5000);
    let limits: BTreeSet<usize> = stacks.iter().map(|stack| stack.limit().get()).collect();
    assert_eq!(limits.len(), stacks.len());
    let mut pairs = limits.iter().zip(limits.iter().skip(1));
    assert!(pairs.all(|(low, high)| high - low >= pool.size()));
}

#[test]
fn many_stacks_need_few_mappings() {
    let pool = light(DEFAULT_STACK_SIZE);
    let stacks = many(&pool, 20_000);
    let stats = pool.stats();
    assert!(stats.slabs <= 16, "{stats:?}");
    assert_eq!(stats.in_use, stacks.len());
    assert!(stats.mapped < 2 * stacks.len(), "{stats:?}");
}

#[test]
fn after_a_burst_the_slabs_are_unmapped() {
    for backwards in [false, true] {
        let pool = light(DEFAULT_STACK_SIZE);
        let mut stacks = many(&pool, 20_000);
        stacks.iter().for_each(touch);
        if backwards {
            while stacks.pop().is_some() {}
        }
        drop(stacks);
        let stats = pool.stats();
        assert_eq!(stats.in_use, 0);
        assert!(stats.resident_free <= 1024 && stats.mapped <= 1024 + 4096, "{stats:?}");
    }
}

#[test]
fn free_stacks_among_used_ones_give_their_memory_back() {
    let pool = light(SMALL);
    let mut stacks = many(&pool, 16_384);
    stacks.iter().for_each(touch);
    // One in 16 stays, all over, so that every slab does.
    let (mut i, mut places) = (0, Vec::new());
    stacks.retain(|stack| {
        i += 1;
        let stays = i % 16 == 0;
        if !stays {
            places.push(stack.limit());
        }
        stays
    });
    let stats = pool.stats();
    assert_eq!(stats.in_use, stacks.len());
    assert!(stats.resident_free <= 4096, "{stats:?}");
    let pages: usize = places.iter().map(|&place| resident(place, SMALL)).sum();
    assert!(pages <= stats.resident_free, "{pages} pages in {} free stacks", stats.resident_free);
    assert!(stacks.iter().all(|stack| read(stack.base().get()) == 1), "a stack in use was discarded");
}

/// So many that giving most of them back leaves a surplus, of slabs that are empty and of slots in others.
const CROWD: usize = 10_000;

#[test]
fn where_somebody_looks_after_a_surplus_it_stays_for_a_while_and_then_goes() {
    let pool = light(DEFAULT_STACK_SIZE);
    pool.look_after();
    let mut stacks = many(&pool, CROWD);
    stacks.iter().for_each(touch);
    let before = Instant::now();
    let some = stacks.split_off(64);
    pool.give_back_all(some);
    let ended = Instant::now();
    let stats = pool.stats();
    assert_eq!(stats.in_use, 64);
    if before.elapsed() < GRACE {
        assert_eq!(stats.resident_free, CROWD - 64, "who ended a crowd had to give its memory back");
        assert!(pool.may_settle());
    }
    while ended.elapsed() < GRACE {
        pool.settle();
    }
    // A slab's at a time.
    let mut steps = 0;
    while pool.settle() {
        steps += 1;
        assert!(steps <= 64, "{:?}", pool.stats());
    }
    let stats = pool.stats();
    assert!(stats.resident_free <= 1024 && stats.mapped <= 1024 + 4096, "{stats:?}");
    assert!(!pool.may_settle(), "nothing is left, and it is looked for");
    assert!(stacks.iter().all(|stack| read(stack.base().get()) == 1), "a stack in use was discarded");
}

#[test]
fn a_surplus_that_nobody_comes_to_look_at_goes_with_the_stacks_that_come_back_later() {
    let pool = light(DEFAULT_STACK_SIZE);
    pool.look_after();
    let stacks = many(&pool, CROWD);
    stacks.iter().for_each(touch);
    pool.give_back_all(stacks);
    let ended = Instant::now();
    while ended.elapsed() < GRACE {
        std::thread::sleep(GRACE / 4);
    }
    // One stack more and one less each time, as of a program that is busy elsewhere.
    for _ in 0..10_000 {
        drop(pool.allocate().unwrap());
    }
    let stats = pool.stats();
    assert!(stats.resident_free <= 1024 && stats.mapped <= 1024 + 4096, "{stats:?}");
}

#[test]
fn who_leaves_a_pool_leaves_no_surplus_though_others_look_after_it() {
    let pool = light(DEFAULT_STACK_SIZE);
    (0..2).for_each(|_| pool.look_after());
    for _ in 0..2 {
        let stacks = many(&pool, CROWD);
        stacks.iter().for_each(touch);
        pool.give_back_all(stacks);
        pool.leave();
        let stats = pool.stats();
        assert!(stats.resident_free <= 1024 && stats.mapped <= 1024 + 4096, "{stats:?}");
    }
    // And nobody does any more.
    let stacks = many(&pool, CROWD);
    stacks.iter().for_each(touch);
    pool.give_back_all(stacks);
    let stats = pool.stats();
    assert!(stats.resident_free <= 1024 && stats.mapped <= 1024 + 4096, "{stats:?}");
}

#[test]
fn stacks_that_are_given_back_together_beside_others_are_each_handed_out_once() {
    let pool = light(SMALL);
    let keepers = 4;
    std::thread::scope(|threads| {
        for thread in 1..=keepers {
            let pool = &pool;
            threads.spawn(move || {
                pool.look_after();
                for round in 0..20 {
                    let stacks = many(pool, 1500);
                    stacks.iter().for_each(|stack| write(stack.base().get(), thread));
                    assert!(stacks.iter().all(|stack| read(stack.base().get()) == thread));
                    pool.give_back_all(stacks);
                    if round % 4 == thread % 4 {
                        pool.trim();
                    }
                    pool.settle();
                }
                pool.leave();
            });
        }
    });
    let stats = pool.stats();
    assert_eq!(stats.in_use, 0);
    assert!(stats.resident_free <= 1024, "{stats:?}");
}

#[test]
fn trim_gives_back_what_is_free_and_leaves_what_is_used() {
    let pool = light(DEFAULT_STACK_SIZE);
    let mut stacks = many(&pool, 16);
    for stack in &stacks {
        for page in 0..8 {
            write(stack.base().get() - page * page_size(), 7);
        }
    }
    // The last one keeps their slab.
    let places: Vec<_> = stacks.drain(..15).map(|stack| stack.limit()).collect();
    let pages = || places.iter().map(|&place| resident(place, DEFAULT_STACK_SIZE)).sum::<usize>();
    assert_eq!(pages(), 15 * 8);
    pool.trim();
    let stats = pool.stats();
    assert_eq!((stats.resident_free, stats.in_use, stats.slabs), (0, 1, 1), "{stats:?}");
    assert_eq!(pages(), 0);
    assert_eq!(read(stacks[0].base().get()), 7);
    assert_eq!(resident(stacks[0].limit(), DEFAULT_STACK_SIZE), 8);
    drop(stacks);
    pool.trim();
    assert_eq!((pool.stats().mapped, pool.stats().slabs), (0, 0));
    assert!(pool.allocate().is_ok());
}

#[cfg_attr(
    rendez_sanitize,
    ignore = "the sanitizer maps terabytes, catches faults and does not live under a limit of address space"
)]
#[test]
fn touching_the_guard_faults() {
    for variant in ["light", "light, discarded", "protect", "protect, discarded"] {
        if let Some((status, said)) = in_child("touching_the_guard_faults", variant) {
            assert!(said.contains("all but the guard is writable"), "{variant}: {said}");
            assert!(!said.contains("the guard was writable"), "{variant}: {said}");
            assert!(matches!(status.signal(), Some(libc::SIGSEGV | libc::SIGBUS)), "{variant}: {status}");
        }
    }
    if env::var_os(CHILD).is_none() {
        return;
    }
    let pool = Pool::with_guard_mode(SMALL, mode_of(&variant()));
    let mut stacks = many(&pool, 20);
    let mut stack = stacks.swap_remove(10);
    if variant().ends_with("discarded") {
        // Neighbours too, so that the run which is discarded goes right across the guard.
        let place = stack.limit();
        let rest = stacks.split_off(15);
        touch(&stack);
        drop((stacks, stack));
        assert!(resident(place, SMALL) > 0);
        pool.trim();
        assert_eq!(pool.stats().resident_free, 0);
        assert_eq!(resident(place, SMALL), 0);
        stack =
            many(&pool, 16).into_iter().find(|stack| stack.limit() == place).expect("the same stack again");
        drop(rest);
    }
    let (mut top, end) = (stack.base().get(), stack.limit().get() + page_size());
    while top > end {
        write(top, 1);
        top -= COLOUR_STEP;
    }
    println!("all but the guard is writable");
    write(end, 1);
    println!("the guard was writable");
}

#[test]
fn protected_guards_keep_to_their_budget() {
    let budget = Budget::new(VMAS_PER_GUARD * 20 + 1);
    let pool = Pool::with_budget(SMALL, GuardMode::Protect, Arc::clone(&budget));
    let mut stacks = many(&pool, 20);
    for _ in 0..2 {
        let error = pool.allocate().unwrap_err();
        assert!(matches!(error, StackError::Exhausted { limit: Limit::MapCount, .. }), "{error:?}");
        assert!(error.to_string().contains("vm.max_map_count"), "{error}");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::OutOfMemory);
    }
    // A stack that comes free is to be had again, at no further cost.
    stacks.pop();
    stacks.push(pool.allocate().unwrap());
    assert!(pool.allocate().is_err());
    assert_eq!(budget.used(), VMAS_PER_GUARD * 20);
    drop(stacks);
    pool.trim();
    assert_eq!(budget.used(), 0);
    assert_eq!(many(&pool, 20).len(), 20);
    assert_eq!(pool.stats().guard_mode, GuardMode::Protect);
    drop(pool);
    assert_eq!(budget.used(), 0);
}

#[cfg_attr(
    rendez_sanitize,
    ignore = "the sanitizer maps terabytes, catches faults and does not live under a limit of address space"
)]
#[cfg(target_os = "linux")]
#[test]
fn where_light_guards_are_refused_the_pool_protects_for_good() {
    if let Some((status, said)) = in_child("where_light_guards_are_refused_the_pool_protects_for_good", "x") {
        assert!(status.success(), "{said}");
        return;
    }
    let pool = light(SMALL);
    // Locked memory takes no light guards: EINVAL, as from a kernel that knows none.
    // SAFETY: it concerns pages to come, in a process that is there for this test.
    if unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) } != 0 {
        println!("not run: mlockall is not allowed here");
        return;
    }
    let stacks = many(&pool, 20);
    stacks.iter().for_each(touch);
    assert_eq!(pool.stats().guard_mode, GuardMode::Protect);
    // SAFETY: as above.
    unsafe { libc::munlockall() };
    let more = many(&pool, 40);
    assert_eq!(pool.stats().guard_mode, GuardMode::Protect);
    assert_eq!(pool.stats().in_use, stacks.len() + more.len());
}

#[cfg(target_os = "linux")]
#[test]
fn the_budget_of_the_process_leaves_it_mappings() {
    if let Some((status, said)) = in_child("the_budget_of_the_process_leaves_it_mappings", "x") {
        assert!(status.success(), "{said}");
        return;
    }
    let count: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    if count > 1 << 18 {
        println!("not run: vm.max_map_count is {count}, too many to use up in a test");
        return;
    }
    let pool = Pool::with_guard_mode(MIN_STACK_SIZE, GuardMode::Protect);
    let mut stacks = Vec::new();
    let error = loop {
        match pool.allocate() {
            Ok(stack) => stacks.push(stack),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StackError::Exhausted { limit: Limit::MapCount, .. }), "{error:?}");
    let lines = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    assert!(lines() <= count - count / 4 + 200, "{} mappings of {count}", lines());
    assert!(stacks.len() >= count / 4, "{} stacks of {count} mappings", stacks.len());
    drop(stacks);
    pool.trim();
    assert!(lines() < 200, "{} mappings are left", lines());
}

#[cfg_attr(
    rendez_sanitize,
    ignore = "the sanitizer maps terabytes, catches faults and does not live under a limit of address space"
)]
#[test]
fn at_the_end_of_the_address_space_there_is_an_error_and_a_later_attempt_succeeds() {
    let name = "at_the_end_of_the_address_space_there_is_an_error_and_a_later_attempt_succeeds";
    if let Some((status, said)) = in_child(name, "x") {
        assert!(status.success(), "{said}");
        return;
    }
    let limit = libc::rlimit { rlim_cur: 1 << 30, rlim_max: 1 << 30 };
    // SAFETY: it only reads the struct.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    let pool = light(DEFAULT_STACK_SIZE);
    let mut stacks = Vec::new();
    let error = loop {
        match pool.allocate() {
            Ok(stack) => stacks.push(stack),
            Err(error) => break error,
        }
        assert!(stacks.len() <= 4096, "the limit was not kept");
    };
    assert!(matches!(error, StackError::Exhausted { limit: Limit::AddressSpace, .. }), "{error:?}");
    assert!(error.to_string().contains("ulimit -v"), "{error}");
    // Nearly all of it was to be had, and yet the rest of the process can still allocate.
    assert!(stacks.len() * DEFAULT_STACK_SIZE > 600 << 20, "{} stacks only", stacks.len());
    drop(std::hint::black_box(vec![1_u8; 8 << 20]));
    assert!(pool.allocate().is_err());
    stacks.pop();
    stacks.push(pool.allocate().expect("the one that came free"));
    stacks.iter().for_each(touch);
    let n = stacks.len();
    drop(stacks);
    let again = many(&pool, n - 64);
    assert_eq!(pool.stats().in_use, again.len());
}

#[cfg_attr(rendez_sanitize, ignore = "it leaks on purpose")]
#[test]
fn a_leaked_stack_is_never_handed_out_again_and_outlives_its_pool() {
    let pool = light(SMALL);
    let stack = pool.allocate().unwrap();
    let (limit, base) = (stack.limit(), stack.base().get());
    write(base, 99);
    stack.leak();
    let stacks = many(&pool, 3000);
    assert!(stacks.iter().all(|stack| stack.limit() != limit));
    drop(stacks);
    pool.trim();
    let stats = pool.stats();
    assert_eq!((stats.leaked, stats.in_use, stats.slabs), (1, 0, 1), "{stats:?}");
    drop(pool);
    assert_eq!(read(base), 99);
}

#[test]
fn a_stack_outlives_its_pool() {
    let pool = light(SMALL);
    let stacks = many(&pool, 50);
    drop(pool);
    stacks.iter().for_each(touch);
    drop(stacks);
}

#[test]
fn four_threads_get_stacks_of_their_own_and_the_count_is_right() {
    let pool = light(MIN_STACK_SIZE);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let pool = &pool;
            scope.spawn(move || {
                let mut rng = fast_random(thread as u64 + 1);
                let mut held: Vec<(Stack, usize)> = Vec::new();
                for step in 0..60_000_usize {
                    // Waves: grow to a few thousand, shrink to nothing.
                    let growing = step / 6000 % 2 == 0;
                    if !rng().is_multiple_of(4) && growing || held.is_empty() {
                        let stack = pool.allocate().unwrap();
                        let stamp = thread << 32 | step | 1 << 40;
                        write(stack.base().get(), stamp);
                        write(stack.base().get() - page_size(), stamp);
                        held.push((stack, stamp));
                    } else {
                        let (stack, stamp) = held.swap_remove(rng() as usize % held.len());
                        assert_eq!(read(stack.base().get()), stamp);
                        assert_eq!(read(stack.base().get() - page_size()), stamp);
                    }
                    if step % 20_000 == 19_999 {
                        pool.trim();
                    }
                }
                assert!(held.iter().all(|(stack, stamp)| read(stack.base().get()) == *stamp));
            });
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.leaked), (0, 0));
    assert!(stats.resident_free <= 1024 + SLACK, "{stats:?}");
    pool.trim();
    assert_eq!((pool.stats().mapped, pool.stats().resident_free), (0, 0));
}

/// Slots that were prepared in advance and not used count as dirty.
const SLACK: usize = 64;

/// A small generator (xorshift), seeded: a failure comes again.
fn fast_random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn bits_behave_like_a_set() {
    let mut rng = fast_random(7);
    for len in [1, 63, 64, 65, 300] {
        let mut bits = Bits::try_new(len, true).unwrap();
        let mut set: BTreeSet<usize> = (0..len).collect();
        for _ in 0..2000 {
            let i = rng() as usize % len;
            if rng().is_multiple_of(2) {
                assert_eq!(bits.insert(i), set.insert(i));
            } else {
                assert_eq!(bits.remove(i), set.remove(&i));
            }
            assert_eq!(bits.first(), set.first().copied());
            assert_eq!((bits.count(), bits.get(i)), (set.len(), set.contains(&i)));
            assert_eq!(bits.next(i), set.range(i..).next().copied());
        }
    }
}
