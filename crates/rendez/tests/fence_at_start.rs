//! What takes milliseconds once there are threads is asked of the system before: in a process of its own, for it is asked once.
#![cfg(all(target_os = "linux", not(loom)))]

/// Whether the system knows the call, and whether it has been asked to let this process use it.
fn heavy_fence() -> (bool, bool) {
    // SAFETY: neither call touches memory.
    let [known, passed] = [libc::MEMBARRIER_CMD_QUERY, libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED]
        .map(|command| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) });
    // Where it is unknown, or forbidden as in some containers, the answer is -1.
    (known > 0 && known & libc::c_long::from(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0, passed == 0)
}

#[test]
fn the_heavy_fence_is_asked_for_when_a_runtime_starts_and_not_by_the_first_biased_lock() {
    let (is_known, is_asked_for) = heavy_fence();
    if !is_known || cfg!(rendez_sanitize) && is_asked_for {
        return;
    }
    assert!(!is_asked_for);
    rendez::run(|| assert!(heavy_fence().1));
}
