//! Batches, priorities and the cache.

use super::*;

#[test]
fn batch_sizes_and_priorities_have_their_ranges() {
    assert_eq!(
        faults_of("dynamic_batching { preferred_batch_size: [ 8, 0, 9 ] }"),
        [
            "2:47: dynamic batching preferred size must be positive for m",
            "2:50: dynamic batching preferred size must be <= max batch size for m",
        ]
    );
    assert_eq!(
        faults_of("dynamic_batching { priority_levels: 2 priority_queue_policy { key: 3 value { } } }"),
        [
            "2:1: default priority level must be in range [1, 2] for m",
            "2:39: priority queue policy must have priority level in range [1, 2] for m",
        ]
    );
    let delay = "{ timeout_action: DELAY default_timeout_microseconds: 1 }";
    assert_eq!(
        faults_of(&format!(
            "dynamic_batching {{ preserve_ordering: true priority_levels: 2 default_priority_level: 1\n\
             default_queue_policy {delay}\npriority_queue_policy {{ key: 1 value {delay} }} }}"
        )),
        [
            "2:61: Only one priority level is allowed when 'preserve_ordering' is true for m",
            "3:40: Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
            "4:56: Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
        ]
    );
    assert_eq!(faults_of("dynamic_batching { priority_levels: 2 default_priority_level: 2 }"), [""; 0]);
}

#[test]
fn the_response_cache_has_its_limits() {
    assert_eq!(faults_of("response_cache { enable: true } dynamic_batching { }"), [""; 0]);
    assert_eq!(
        faults_of(
            "response_cache { enable: true } sequence_batching { } model_transaction_policy { decoupled: true }"
        ),
        [
            "2:26: Response Cache does not currently support model m with sequence batching scheduler. Please disable \
             the response cache.",
            "2:26: Response Cache does not currently support model m with 'decoupled' transaction policy. Please \
             disable the response cache.",
        ]
    );
}
