//! Random sequences of operations on a primitive and on its model: see `models`. The same functions are fuzz targets.

#![cfg(feature = "testing")]
#![cfg(not(loom))]

mod models;

use proptest::{collection::vec, prelude::*};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_channel_and_its_futures_do_what_a_queue_with_waiters_does(bytes in vec(any::<u8>(), 0..300)) {
        models::channel::channel(&bytes);
    }

    #[test]
    fn selects_choose_what_is_ready_and_nothing_only_if_nothing_is(bytes in vec(any::<u8>(), 0..300)) {
        models::select::selects(&bytes);
    }

    #[test]
    fn a_semaphore_gives_permits_in_order(bytes in vec(any::<u8>(), 0..300)) {
        models::locks::semaphore(&bytes);
    }

    #[test]
    fn locks_keep_out_whom_they_must_and_let_all_in_at_last(bytes in vec(any::<u8>(), 0..300)) {
        models::locks::locks(&bytes);
    }

    #[test]
    fn a_group_is_waited_for_until_it_is_at_zero(bytes in vec(any::<u8>(), 0..300)) {
        models::locks::wait_group(&bytes);
    }

    #[test]
    fn a_condition_tells_the_first_or_all(bytes in vec(any::<u8>(), 0..300)) {
        models::locks::condition(&bytes);
    }

    #[test]
    fn a_barrier_lets_go_those_who_have_come_together(bytes in vec(any::<u8>(), 0..300)) {
        models::meetings::barrier(&bytes);
    }

    #[test]
    fn what_is_called_once_is_and_all_hear_of_it(bytes in vec(any::<u8>(), 0..300)) {
        models::meetings::once(&bytes);
    }

    #[test]
    fn an_object_of_a_pool_is_one_users_and_is_used_before_one_is_made(bytes in vec(any::<u8>(), 0..300)) {
        models::meetings::pool(&bytes);
    }

    #[test]
    fn calls_with_one_key_share_a_flight_and_its_value(bytes in vec(any::<u8>(), 0..300)) {
        models::meetings::single_flight(&bytes);
    }
}

proptest! {
    // Each case is a runtime of its own.
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn contexts_end_with_their_ancestors_and_at_their_deadlines(bytes in vec(any::<u8>(), 0..200)) {
        models::context::contexts(&bytes);
    }

    #[test]
    fn timers_tickers_and_functions_come_when_they_are_due(bytes in vec(any::<u8>(), 0..200)) {
        models::times::times(&bytes);
    }

    #[test]
    fn goroutines_under_any_schedule_lose_nothing_and_keep_the_order(bytes in vec(any::<u8>(), 0..60)) {
        models::crowd::crowd(&bytes);
    }
}
