//! Waiting for ids in flight from a runtime that has one thread: whoever blocked it would stop all.
//!
//! The calls of a store may wait for a file, so tasks make them through `spawn_blocking`; they await
//! [`Store::settlement`] where they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firstseen::testing::MemoryDisk;
use firstseen::{Claim, Error, LeaseEnd, Store, Verdict};
use tempfile::TempDir;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, spawn_blocking, yield_now};
use tokio::time::timeout;

/// Far longer than anything here takes: reached only by what never ends.
const NEVER: Duration = Duration::from_secs(10);

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::builder().memory_budget(16 << 20).active_ids(1_000);
    let store = store.open(dir.path().join("requests.seen")).unwrap();
    (dir, store)
}

/// Makes a call of the store where blocking is allowed.
async fn call<T: Send + 'static>(
    store: &Store,
    call: impl FnOnce(&Store) -> T + Send + 'static,
) -> T {
    let store = store.clone();
    spawn_blocking(move || call(&store)).await.unwrap()
}

async fn begin(store: &Store, id: &'static str) -> Claim {
    call(store, move |store| store.begin(&[id]).unwrap()).await
}

async fn verdict(store: &Store, id: &'static str) -> Verdict {
    call(store, move |store| {
        let mut verdicts = Vec::new();
        store.check(&[id], &mut verdicts).unwrap();
        verdicts[0]
    })
    .await
}

/// Waits for the id, and gives its verdict and outcome then.
async fn settled(store: &Store, id: &'static str) -> (Verdict, Option<Vec<u8>>) {
    timeout(NEVER, store.settlement(id)).await.expect("it is settled");
    let outcome = call(store, move |store| store.outcome(id).unwrap()).await;
    (verdict(store, id).await, outcome)
}

#[tokio::test]
async fn what_is_not_in_flight_is_ready_at_once() {
    let (_dir, store) = open();
    store.settlement("never seen").await;
    begin(&store, "a").await.commit().unwrap();
    store.settlement("a").await;
}

#[tokio::test]
async fn many_tasks_get_the_outcome_of_the_first() {
    const WAITERS: usize = 200;
    let (_dir, store) = open();
    let mut tx = begin(&store, "a").await;
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..WAITERS {
        let (store, waiting) = (store.clone(), Arc::clone(&waiting));
        tasks.spawn(async move {
            waiting.fetch_add(1, Ordering::Relaxed);
            settled(&store, "a").await
        });
    }
    // All of them get their turn on the one thread, though none is done.
    while waiting.load(Ordering::Relaxed) < WAITERS {
        yield_now().await;
    }
    assert!(tasks.try_join_next().is_none());
    assert!(verdict(&store, "a").await.is_in_flight());
    tx.set_outcome(0, "201 Created");
    spawn_blocking(move || tx.commit()).await.unwrap().unwrap();
    let mut answered = 0;
    while let Some(task) = tasks.join_next().await {
        let (verdict, outcome) = task.unwrap();
        assert!(verdict.is_duplicate(), "{verdict:?}");
        assert_eq!(outcome.as_deref(), Some(&b"201 Created"[..]));
        answered += 1;
    }
    assert_eq!(answered, WAITERS);
}

#[tokio::test]
async fn one_of_those_who_wait_takes_over_what_was_given_back() {
    const WAITERS: usize = 16;
    let (_dir, store) = open();
    let first = begin(&store, "a").await;
    let barrier = Arc::new(Barrier::new(WAITERS + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..WAITERS {
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        tasks.spawn(async move {
            barrier.wait().await;
            loop {
                let mut tx = begin(&store, "a").await;
                match tx.verdicts()[0] {
                    Verdict::New => {
                        tx.set_outcome(0, "done");
                        spawn_blocking(move || tx.commit()).await.unwrap().unwrap();
                        return true;
                    }
                    Verdict::InFlight(_) => store.settlement("a").await,
                    verdict => {
                        assert!(verdict.is_duplicate(), "{verdict:?}");
                        return false;
                    }
                }
            }
        });
    }
    barrier.wait().await;
    drop(first);
    let mut winners = 0;
    while let Some(task) = timeout(NEVER, tasks.join_next()).await.expect("all of them end") {
        winners += usize::from(task.unwrap());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_wait_that_is_given_up_leaves_nothing() {
    let (_dir, store) = open();
    let mut tx = begin(&store, "a").await;
    for _ in 0..100 {
        let given_up = timeout(Duration::from_micros(1), store.settlement("a")).await;
        assert!(given_up.is_err());
    }
    // Never polled, and polled by a task that is gone.
    drop(store.settlement("a"));
    let task = tokio::spawn(store.settlement("a"));
    yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    let kept = tokio::spawn({
        let store = store.clone();
        async move { settled(&store, "a").await }
    });
    yield_now().await;
    tx.set_outcome(0, "done");
    spawn_blocking(move || tx.commit()).await.unwrap().unwrap();
    assert_eq!(kept.await.unwrap().1.as_deref(), Some(&b"done"[..]));
}

#[tokio::test]
async fn the_end_of_a_lease_wakes_those_who_wait() {
    for (end, free) in [(LeaseEnd::Rerun, true), (LeaseEnd::Block, false)] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::builder().memory_budget(16 << 20).active_ids(1_000).lease_end(end);
        let store = store.open(dir.path().join("requests.seen")).unwrap();
        let late = call(&store, |store| {
            store.claim().lease(Duration::from_millis(50)).begin(&["a"]).unwrap()
        })
        .await;
        // Nobody but the store's own thread meets the claim when its lease ends.
        timeout(NEVER, store.settlement("a")).await.expect("the lease ends");
        let found = verdict(&store, "a").await;
        match free {
            true => assert!(found.is_new(), "{found:?}"),
            false => assert_eq!(found, Verdict::Unknown { token: late.token() }),
        }
        assert!(spawn_blocking(move || late.commit()).await.unwrap().is_err());
    }
}

/// Upkeep has more to do than leases, and may fail at it.
#[tokio::test]
async fn the_end_of_a_lease_is_noticed_though_the_store_has_failed() {
    let disk = MemoryDisk::new();
    let store = Store::builder().memory_budget(16 << 20).storage(Arc::new(disk.clone()));
    let store = store.open("/requests.seen").unwrap();
    let late =
        call(&store, |store| store.claim().lease(Duration::from_millis(50)).begin(&["a"]).unwrap())
            .await;
    call(&store, |store| store.check_and_insert(&["b"]).unwrap()).await;
    disk.fail_from(disk.ops(), std::io::ErrorKind::Other);
    call(&store, |store| assert!(store.check_and_insert(&["c"]).is_err())).await;
    timeout(NEVER, store.settlement("a")).await.expect("the lease ends");
    drop(late);
}

#[tokio::test]
async fn a_renewed_lease_is_waited_for() {
    const LEASE: Duration = Duration::from_millis(50);
    let (_dir, store) = open();
    // On a busy machine the first ones may end before they are renewed.
    let (tx, waiter) = loop {
        let tx = call(&store, |store| store.claim().lease(LEASE).begin(&["a"]).unwrap()).await;
        let waiter = tokio::spawn({
            let store = store.clone();
            async move { settled(&store, "a").await }
        });
        yield_now().await;
        if tx.renew(NEVER).is_ok() {
            break (tx, waiter);
        }
        waiter.await.unwrap();
    };
    tokio::time::sleep(3 * LEASE).await;
    assert!(!waiter.is_finished());
    spawn_blocking(move || tx.commit()).await.unwrap().unwrap();
    assert!(waiter.await.unwrap().0.is_duplicate());
}

#[tokio::test]
async fn what_is_prepared_is_waited_for_until_it_is_settled() {
    for commit in [true, false] {
        let (_dir, store) = open();
        let tx = begin(&store, "a").await;
        let prepared = spawn_blocking(move || tx.prepare("token")).await.unwrap().unwrap();
        let waiter = tokio::spawn({
            let store = store.clone();
            async move { settled(&store, "a").await }
        });
        yield_now().await;
        assert!(!waiter.is_finished());
        spawn_blocking(move || if commit { prepared.commit() } else { prepared.abort() })
            .await
            .unwrap()
            .unwrap();
        assert_eq!(waiter.await.unwrap().0.is_duplicate(), commit);
    }
}

#[tokio::test]
async fn closing_the_store_ends_every_wait() {
    let (_dir, store) = open();
    let open = begin(&store, "open").await;
    let tx = begin(&store, "in doubt").await;
    let prepared = spawn_blocking(move || tx.prepare("token")).await.unwrap().unwrap();
    let mut tasks = JoinSet::new();
    for id in ["open", "in doubt"] {
        tasks.spawn(store.settlement(id));
        let store = store.clone();
        tasks.spawn_blocking(move || {
            assert!(matches!(store.wait(id, 2 * NEVER), Err(Error::Closed)));
        });
    }
    yield_now().await;
    assert!(tasks.try_join_next().is_none());
    call(&store, |store| store.clone().close().unwrap()).await;
    while let Some(task) = timeout(NEVER, tasks.join_next()).await.expect("all of them end") {
        task.unwrap();
    }
    let late = spawn_blocking(move || [open.commit(), prepared.commit()]).await.unwrap();
    assert!(late.iter().all(|late| matches!(late, Err(Error::Closed))), "{late:?}");
}
