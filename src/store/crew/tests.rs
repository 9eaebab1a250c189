//! Members whose steps are closures, and crews of one and two threads.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{ASKED_IN_A_ROW, Call, Crew, Member, Seat};

/// More than any test takes, less than anybody waits.
const LONG: Duration = Duration::from_secs(60);

type Work = Box<dyn Fn() -> Duration + Send + Sync>;

struct Worker {
    work: Work,
    panicked: Sender<()>,
}

impl Member for Worker {
    fn step(&self) -> Duration {
        (self.work)()
    }

    fn panicked(&self) {
        self.panicked.send(()).unwrap();
    }
}

type Joined = (Seat<Worker>, Receiver<()>);

fn join(crew: &Crew<Worker>, work: impl Fn() -> Duration + Send + Sync + 'static) -> Joined {
    let (panicked, told) = channel();
    (crew.join(Worker { work: Box::new(work), panicked }).unwrap(), told)
}

/// A member whose steps tell that they have begun, and end when they are let.
fn held(crew: &Crew<Worker>, nap: Duration) -> (Seat<Worker>, Receiver<()>, Sender<()>) {
    let (begun, begins) = channel();
    let (go, goes) = channel();
    let goes = Mutex::new(goes);
    let (seat, _) = join(crew, move || {
        begun.send(()).unwrap();
        goes.lock().unwrap().recv().unwrap();
        nap
    });
    (seat, begins, go)
}

/// A member that writes its name down.
fn named(crew: &Crew<Worker>, name: u32, nap: Duration, to: &Sender<u32>) -> Seat<Worker> {
    let to = to.clone();
    join(crew, move || {
        let _ = to.send(name);
        nap
    })
    .0
}

fn next<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(LONG).unwrap()
}

#[test]
fn members_have_their_turns_and_the_asked_come_first() {
    let crew = Crew::new("firstseen-test", 1);
    let (to, order) = channel();
    let (gate, begins, go) = held(&crew, LONG);
    let seats: Vec<_> = (0..20).map(|name| named(&crew, name, LONG, &to)).collect();
    gate.ring(Call::Rung);
    next(&begins);
    // All are in line while the only thread is busy.
    seats[..10].iter().for_each(|seat| seat.ring(Call::Rung));
    seats[9..].iter().for_each(|seat| seat.ring(Call::Asked));
    seats[9..].iter().for_each(|seat| seat.ring(Call::Rung));
    go.send(()).unwrap();
    let order: Vec<u32> = (0..20).map(|_| next(&order)).collect();
    let asked = 9 + ASKED_IN_A_ROW;
    let expected: Vec<u32> = (9..asked).chain([0]).chain(asked..20).chain(1..9).collect();
    assert_eq!(order, expected);
}

#[test]
fn one_that_is_always_due_starves_nobody() {
    let crew = Crew::new("firstseen-test", 1);
    let (to, order) = channel();
    let (gate, begins, go) = held(&crew, LONG);
    gate.ring(Call::Rung);
    next(&begins);
    let busy = named(&crew, 0, Duration::ZERO, &to);
    let other = named(&crew, 1, Duration::ZERO, &to);
    busy.ring(Call::Rung);
    other.ring(Call::Rung);
    go.send(()).unwrap();
    let order: Vec<u32> = (0..1_000).map(|_| next(&order)).collect();
    let turns = order.iter().filter(|&&name| name == 1).count();
    assert_eq!(turns, 500);
}

#[test]
fn a_ring_during_a_step_is_not_missed() {
    let crew = Crew::new("firstseen-test", 2);
    let (seat, begins, go) = held(&crew, LONG);
    seat.ring(Call::Rung);
    next(&begins);
    seat.ring(Call::Rung);
    // The other thread leaves it alone meanwhile.
    assert!(begins.recv_timeout(Duration::from_millis(20)).is_err());
    go.send(()).unwrap();
    next(&begins);
    go.send(()).unwrap();
}

#[test]
fn a_nap_ends_while_another_thread_is_busy() {
    let crew = Crew::new("firstseen-test", 2);
    let (to, order) = channel();
    let (busy, begins, go) = held(&crew, LONG);
    let napping = named(&crew, 7, Duration::from_millis(5), &to);
    busy.ring(Call::Rung);
    next(&begins);
    napping.ring(Call::Rung);
    (0..3).for_each(|_| assert_eq!(next(&order), 7));
    go.send(()).unwrap();
}

#[test]
fn a_panic_ends_its_member_alone() {
    let crew = Crew::new("firstseen-test", 1);
    let (to, order) = channel();
    let (bad, told) = join(&crew, || panic!("on purpose"));
    let good = named(&crew, 1, LONG, &to);
    bad.ring(Call::Asked);
    next(&told);
    bad.ring(Call::Asked);
    good.ring(Call::Rung);
    assert_eq!(next(&order), 1);
    assert!(told.try_recv().is_err(), "it gets no other step");
    bad.leave();
}

#[test]
fn leaving_waits_for_a_step_of_its_own_alone() {
    let crew = Crew::new("firstseen-test", 2);
    let (busy, begins, go) = held(&crew, Duration::ZERO);
    let (other, other_begins, other_go) = held(&crew, LONG);
    busy.ring(Call::Rung);
    next(&begins);
    other.leave();
    other.ring(Call::Asked);
    assert!(other_begins.try_recv().is_err(), "it has left");
    drop(other_go);

    let (left, leaves) = channel();
    let leaving = std::thread::spawn(move || {
        busy.leave();
        left.send(()).unwrap();
    });
    assert!(leaves.recv_timeout(Duration::from_millis(20)).is_err(), "a step is under way");
    go.send(()).unwrap();
    next(&leaves);
    leaving.join().unwrap();
    // It is due again at once by its nap, and has no other step.
    assert!(begins.try_recv().is_err());
}

#[test]
fn a_member_that_left_is_not_kept_and_may_leave_out_of_its_step() {
    let crew = Crew::new("firstseen-test", 1);
    let (seat, kept) = (Arc::new(Mutex::new(None::<Seat<Worker>>)), Arc::new(()));
    let (done, told) = channel();
    let (own, keeps) = (Arc::clone(&seat), Arc::clone(&kept));
    let (joined, _) = join(&crew, move || {
        let _ = &keeps;
        own.lock().unwrap().as_ref().unwrap().leave();
        done.send(()).unwrap();
        LONG
    });
    *seat.lock().unwrap() = Some(joined);
    seat.lock().unwrap().as_ref().unwrap().ring(Call::Rung);
    next(&told);
    let end = Instant::now() + LONG;
    while Arc::strong_count(&kept) > 1 {
        assert!(Instant::now() < end, "the crew keeps a member that left");
        std::thread::yield_now();
    }
}

#[test]
fn threads_start_with_the_first_member_and_end_with_the_crew() {
    let crew = Crew::new("firstseen-test", 2);
    assert_eq!(crew.threads(), 0);
    let (to, order) = channel();
    let seat = named(&crew, 1, LONG, &to);
    assert_eq!(crew.threads(), 2);
    seat.ring(Call::Rung);
    assert_eq!(next(&order), 1);
    seat.leave();
    drop((crew, to));
    // All that could send is gone, so all threads are: each would keep the member, or the line.
    assert!(order.recv_timeout(LONG).is_err());
}
