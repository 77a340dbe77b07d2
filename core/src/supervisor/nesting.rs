//! Which task each task on a thread is inside of.

use std::collections::{HashMap, HashSet};

use super::engine::TaskId;
use crate::clock::Time;

/// Where a task runs, or where a future was polled last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    thread: usize,
    /// Ids alone do not tell which came first: a thread's task may be admitted by another.
    since: (Time, TaskId),
    /// The future in whose poll this one was polled; 0 is none.
    around: TaskId,
    /// Whether it is a poll that has ended: what came after it is not inside of it.
    ended: bool,
    /// Whether it takes turns with others: nothing is known to be inside of it.
    shared: bool,
}

impl Stay {
    /// A task that has been on a thread since this moment.
    pub(super) fn of(thread: usize, since: Time, task: TaskId) -> Self {
        Stay { thread, since: (since, task), around: 0, ended: false, shared: false }
    }

    /// Of a task that takes turns on its thread, or not.
    pub(super) fn taking_turns(self, shared: bool) -> Self {
        Stay { shared, ..self }
    }

    /// A poll on a thread, in the poll of another future if `around` is not 0.
    pub(super) fn polled(self, around: TaskId, ended: bool) -> Self {
        Stay { around, ended, ..self }
    }

    fn task(&self) -> TaskId {
        self.since.1
    }
}

/// Tells of each task that runs inside of another, and of the nearest one around it.
pub(super) fn inside(stays: &[Stay], mut tell: impl FnMut(TaskId, TaskId)) {
    // A future is polled by the same one again and again, so it stays inside of that between two polls, also while the
    // outer is being polled anew and has not come to it.
    let outer: HashMap<TaskId, &Stay> = match stays.iter().any(|s| s.around != 0) {
        true => stays.iter().map(|s| (s.task(), s)).collect(),
        false => HashMap::new(),
    };
    let waiting = waiting(stays, &outer);
    let waits = |s: &Stay| waiting.contains(&s.task());
    let mut lasting: Vec<(usize, (Time, TaskId))> =
        stays.iter().filter(|s| !s.ended && !s.shared && !waits(s)).map(|s| (s.thread, s.since)).collect();
    lasting.sort_unstable();
    for stay in stays {
        if waits(stay) {
            tell(stay.task(), stay.around);
            continue;
        }
        let earlier = lasting.partition_point(|other| *other < (stay.thread, stay.since));
        if let Some((thread, (_, task))) = lasting[..earlier].last()
            && *thread == stay.thread
        {
            tell(stay.task(), *task);
        }
    }
}

/// The futures that wait for the next poll of the one around them: that one was polled since without coming to them, or
/// is waiting itself.
fn waiting(stays: &[Stay], outer: &HashMap<TaskId, &Stay>) -> HashSet<TaskId> {
    let mut polled: Vec<&Stay> = stays.iter().filter(|s| s.around != 0).collect();
    // One that waits with the one around it was polled after it, so the outer is known first.
    polled.sort_unstable_by_key(|s| s.since);
    let mut waiting = HashSet::new();
    for stay in polled {
        let waits = |o: &&Stay| o.ended || o.since.0 > stay.since.0 || waiting.contains(&o.task());
        if outer.get(&stay.around).is_some_and(waits) {
            waiting.insert(stay.task());
        }
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(TaskId, TaskId); 0] = [];

    fn on(thread: usize, since: u64, task: TaskId) -> Stay {
        Stay::of(thread, Time::from_nanos(since), task)
    }

    fn links(stays: &[Stay]) -> Vec<(TaskId, TaskId)> {
        let mut links = Vec::new();
        inside(stays, |task, around| links.push((task, around)));
        links
    }

    #[test]
    fn a_task_is_inside_of_the_one_that_was_on_its_thread_last() {
        assert_eq!(links(&[on(1, 10, 7), on(2, 20, 8), on(1, 30, 6), on(1, 20, 9)]), [(6, 9), (9, 7)]);
        assert_eq!(links(&[on(1, 10, 1), on(2, 20, 2)]), NONE);
        // In the moment of one that is turned by hand.
        assert_eq!(links(&[on(1, 10, 2), on(1, 10, 1)]), [(2, 1)]);
    }

    #[test]
    fn a_future_is_inside_of_what_was_there_when_it_was_polled_and_holds_nothing_after_its_poll() {
        let poll = |ended| on(1, 20, 5).polled(0, ended);
        let stays = |ended| [on(1, 10, 1), poll(ended), on(1, 30, 2)];
        assert_eq!(links(&stays(false)), [(5, 1), (2, 5)]);
        assert_eq!(links(&stays(true)), [(5, 1), (2, 1)]);
    }

    #[test]
    fn a_future_stays_inside_of_the_one_that_polls_it() {
        for ended in [false, true] {
            let outer = on(1, 20, 5).polled(0, ended);
            let inner = on(1, 21, 4).polled(5, true);
            assert_eq!(links(&[on(1, 10, 1), inner, outer]), [(4, 5), (5, 1)]);
            // The outer was polled once more, or is being polled, without the inner; which is seen in its last poll if
            // it was looked at before.
            let outer = on(1, 40, 5).polled(0, ended);
            for seen in [true, false] {
                let inner = inner.polled(5, seen);
                assert_eq!(links(&[on(1, 10, 1), inner, outer]), [(4, 5), (5, 1)]);
            }
            assert_eq!(links(&[on(1, 10, 1), inner]), [(4, 1)], "the outer is gone");
        }
        // Three of them, the outermost of which is being polled anew and has not come to the two inside of it.
        let outermost = on(1, 40, 5);
        let middle = on(1, 20, 4).polled(5, false);
        for inner in [on(1, 21, 3).polled(4, false), on(1, 21, 3).polled(4, true)] {
            let all = [on(1, 10, 1), inner, middle, outermost, on(1, 50, 2)];
            assert_eq!(links(&all), [(3, 4), (4, 5), (5, 1), (2, 5)]);
        }
        // A section in the poll of the outer, and the inner in it.
        let outer = on(1, 20, 5);
        let inner = on(1, 40, 6).polled(5, true);
        assert_eq!(links(&[outer, on(1, 30, 2), inner]), [(2, 5), (6, 2)]);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod scene {
    use std::future::Future;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::clock::ManualClock;
    use crate::monitor::{Cpu, Monitor, Sample};
    use crate::supervisor::executor::thread_clock::ThreadClock;
    use crate::supervisor::{Profile, Supervisor, Task, TaskSummary};

    /// Two cores, of which the calling thread keeps one busy. Time is that which the thread works, whatever else runs on
    /// the machine.
    struct Scene {
        clock: ManualClock,
        supervisor: Supervisor,
        thread: Arc<ThreadClock>,
        begun: Duration,
        /// Cores in use from outside.
        outside: f64,
    }

    impl Scene {
        const LOOK: Duration = Duration::from_millis(2);

        fn new(outside: f64) -> Scene {
            let clock = ManualClock::new();
            let monitor = Monitor::builder().clock(Arc::new(clock.clone())).manual().unwrap();
            let supervisor = Supervisor::builder().clock(clock.clone()).monitor(monitor).manual().unwrap();
            let thread = ThreadClock::current();
            Scene { begun: thread.read().unwrap(), clock, supervisor, thread, outside }
        }

        /// With a limit on the machine, to be broken for so many looks that one which took long does not matter.
        fn profile(percent: f64) -> Profile {
            Profile::builder("p").sustain(Scene::LOOK * 24).host_max_cpu_percent(percent).build().unwrap()
        }

        /// Works for a while; then a sample is taken.
        fn look(&self) {
            let inner = self.supervisor.inner();
            let until = self.begun + (inner.now() + Scene::LOOK).since(Time::ZERO);
            while self.thread.read().unwrap() < until {}
            let worked = self.thread.read().unwrap() - self.begun;
            self.clock.advance(worked - inner.now().since(Time::ZERO));
            let mut sample = Sample::unknown(inner.now(), SystemTime::UNIX_EPOCH);
            let cores = 1.0 + self.outside;
            sample.cpu = Some(Cpu {
                percent: cores / 2.0 * 100.0,
                capacity: 2.0,
                busy: worked.mul_f64(cores),
                ..Cpu::default()
            });
            inner.observe(&sample);
        }

        /// A future that works for a look in each of its polls.
        fn busy(&self) -> impl Future<Output = ()> {
            std::future::poll_fn(|_| {
                self.look();
                Poll::Pending
            })
        }

        /// Polls a future, looks in between, and tells who was cancelled.
        fn poll(&self, future: impl Future) -> Vec<String> {
            let mut future = Box::pin(future);
            for _ in 0..30 {
                let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                self.look();
            }
            self.cancelled()
        }

        /// Who was cancelled.
        fn cancelled(&self) -> Vec<String> {
            let name = |t: TaskSummary| t.cancelling.then_some(t.name);
            self.supervisor.active().into_iter().filter_map(name).collect()
        }
    }

    #[test]
    fn a_hog_goes_although_it_opens_a_section_for_each_step() {
        let (scene, limited) = (Scene::new(0.0), Scene::profile(30.0));
        let _hog = scene.supervisor.start("hog", &limited).unwrap();
        for _ in 0..12 {
            // A third of what its share would have to last.
            let _step = scene.supervisor.start("step", &limited).unwrap();
            (0..8).for_each(|_| scene.look());
        }
        assert_eq!(scene.cancelled(), ["hog"]);
    }

    #[test]
    fn a_hog_goes_although_it_works_in_a_section_without_the_limit() {
        let scene = Scene::new(0.0);
        let _hog = scene.supervisor.start("hog", Scene::profile(30.0)).unwrap();
        let _around = scene.supervisor.start("around the work", Scene::profile(70.0)).unwrap();
        let _work = scene.supervisor.start("work", Profile::builder("free").build().unwrap()).unwrap();
        (0..60).for_each(|_| scene.look());
        assert_eq!(scene.cancelled(), ["hog"]);
    }

    #[test]
    fn a_section_that_has_just_begun_is_told_from_the_one_around_it() {
        let mut scene = Scene::new(0.0);
        let limited = Profile::builder("p").sustain(Scene::LOOK).host_max_cpu_percent(60.0).build().unwrap();
        let _around = scene.supervisor.start("around", &limited).unwrap();
        (0..3).for_each(|_| scene.look());
        assert!(scene.cancelled().is_empty());
        scene.outside = 0.5;
        let _work = scene.supervisor.start("work", &limited).unwrap();
        (0..2).for_each(|_| scene.look());
        assert_eq!(scene.cancelled(), ["work"]);
    }

    #[test]
    fn futures_inside_of_futures_and_of_sections_are_counted_once() {
        for (outside, gone) in [(1.0, &[][..]), (0.0, &["inner"])] {
            let limited = Scene::profile(40.0);
            for around in ["future", "section"] {
                let scene = Scene::new(outside);
                let inner = || scene.supervisor.supervise("inner", &limited, |_| scene.busy()).unwrap();
                let cancelled = if around == "future" {
                    scene.poll(scene.supervisor.supervise("outer", &limited, |_| inner()).unwrap())
                } else {
                    let _outer = scene.supervisor.start("outer", &limited).unwrap();
                    scene.poll(inner())
                };
                assert_eq!(
                    cancelled, gone,
                    "a future inside of a {around}, {outside} cores used from outside"
                );
            }
        }
    }

    #[test]
    fn a_future_that_works_before_it_polls_another_is_not_charged_with_that() {
        for (outside, gone) in [(1.0, &[][..]), (0.0, &["inner"])] {
            let (limited, scene) = (Scene::profile(40.0), Scene::new(outside));
            let work = || {
                std::future::poll_fn(|_| {
                    (0..8).for_each(|_| scene.look());
                    Poll::<()>::Pending
                })
            };
            let mut inner = Box::pin(scene.supervisor.supervise("inner", &limited, |_| work()).unwrap());
            let outer = std::future::poll_fn(|context| {
                scene.look();
                inner.as_mut().poll(context).map(drop)
            });
            let cancelled = scene.poll(scene.supervisor.supervise("outer", &limited, |_| outer).unwrap());
            assert_eq!(cancelled, gone, "{outside} cores used from outside");
        }
    }

    #[test]
    fn a_hog_that_takes_turns_for_a_moment_is_told_from_the_section_around_it() {
        let (scene, limited) = (Scene::new(0.0), Scene::profile(30.0));
        let _server = scene.supervisor.start("server", &limited).unwrap();
        let _hog = scene.supervisor.start_in_coroutine("hog", &limited, 1).unwrap();
        for n in 0..80 {
            if (20..27).contains(&n) {
                drop(scene.supervisor.start_in_coroutine("request", &limited, 2).unwrap());
            }
            scene.look();
        }
        assert_eq!(scene.cancelled(), ["hog"]);
    }

    #[test]
    fn of_coroutines_that_take_turns_nothing_is_known_from_the_first_look_on() {
        let scene = Scene::new(0.0);
        let around = scene.supervisor.start("around", "craft").unwrap();
        let coroutine = |n| scene.supervisor.start_in_coroutine("coroutine", "craft", n).unwrap();
        let (one, other) = (coroutine(1), coroutine(2));
        let reading = |task: &Task| scene.supervisor.inner().reading(task.token().record());
        for _ in 0..3 {
            scene.look();
            assert!([&one, &other].iter().all(|task| reading(task).cpu_time.is_none()));
        }
        drop(other);
        (0..2).for_each(|_| scene.look());
        let (outer, inner) = (reading(&around), reading(&one));
        assert_eq!(inner.inside, Some(outer.id), "alone it is known");
        assert!(inner.cpu_time.is_some_and(|used| used > Duration::ZERO && Some(used) < outer.cpu_time));
    }
}
