//! Ties what a process tree tells to its task, which exists only after the tree does.

use std::sync::{Arc, OnceLock, Weak};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

use super::cause::Cause;
use super::executor::process::TreeWatcher;
use super::record::Record;

/// The watcher of a tree; knows its task once that was admitted.
pub(crate) struct Link {
    record: OnceLock<Weak<Record>>,
    told: Told,
}

impl Link {
    pub(crate) fn new() -> Self {
        Link { record: OnceLock::new(), told: Told::new() }
    }

    /// The task of the tree, from now on. Makes up for what the tree told before. Called once.
    pub(crate) fn attach(&self, record: &Arc<Record>) {
        let _ = self.record.set(Arc::downgrade(record));
        self.told.attach(|word| act(record, word));
    }

    fn record(&self) -> Option<Arc<Record>> {
        self.record.get()?.upgrade()
    }

    fn hear(&self, word: Word) {
        if self.told.tell(word)
            && let Some(record) = self.record()
        {
            act(&record, word);
        }
    }
}

fn act(record: &Arc<Record>, word: Word) {
    let kill = |cause| record.home.inner.kill(record, cause);
    match word {
        Word::Overdue => _ = kill(Cause::Leftovers),
        Word::Lost => _ = kill(Cause::GuardianKilled),
        Word::Gone => _ = record.finish(),
    }
}

impl TreeWatcher for Link {
    fn looked(&self) {
        if let Some(record) = self.record() {
            record.home.inner.check_between(&record);
        }
    }

    fn unseen(&self, reason: Option<&str>) -> bool {
        let record = self.record();
        record.is_some_and(|record| record.home.inner.publish_unseen(&record, reason))
    }

    fn overdue(&self) {
        self.hear(Word::Overdue);
    }

    fn lost(&self) {
        self.hear(Word::Lost);
    }

    fn gone(&self) {
        self.hear(Word::Gone);
    }
}

/// What a tree tells at most once, in the order in which it can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Word {
    Overdue = 1,
    Lost = 2,
    Gone = 4,
}

const ATTACHED: u8 = 8;

/// Decides who acts on a word: whoever tells it once the task is attached, and before that whoever attaches it.
///
/// So every word is acted on once, and an earlier word before a later one is: a cancellation that an end overtook
/// would be lost.
struct Told(AtomicU8);

impl Told {
    fn new() -> Self {
        Told(AtomicU8::new(0))
    }

    /// Notes a word. Returns whether the caller is to act on it; then the task is there to be seen. One thread tells
    /// all words of a tree.
    fn tell(&self, word: Word) -> bool {
        self.0.fetch_or(word as u8, Ordering::AcqRel) & ATTACHED != 0
    }

    /// Acts on every word so far, until there is none that was not acted on at the moment of attaching.
    fn attach(&self, mut act: impl FnMut(Word)) {
        let mut done = 0;
        while let Err(seen) =
            self.0.compare_exchange(done, done | ATTACHED, Ordering::AcqRel, Ordering::Acquire)
        {
            for word in [Word::Overdue, Word::Lost, Word::Gone] {
                if seen & !done & word as u8 != 0 {
                    act(word);
                }
            }
            done = seen;
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::thread;

    struct Model {
        told: Told,
        /// Stands for the record, which is written before it is attached.
        record: UnsafeCell<bool>,
        acts: loom::sync::Mutex<Vec<Word>>,
    }

    // SAFETY: the cell is what the model is to prove safe; loom watches every access.
    unsafe impl Sync for Model {}

    impl Model {
        fn act(&self, word: Word) {
            // SAFETY: as above; loom fails the test if this can race with the writing.
            assert!(self.record.with(|record| unsafe { *record }), "{word:?} acted on without a task");
            self.acts.lock().unwrap().push(word);
        }
    }

    /// In every interleaving each word is acted on once, in order, and by somebody who sees the task.
    fn check(words: &'static [Word]) {
        loom::model(move || {
            let model = loom::sync::Arc::new(Model {
                told: Told::new(),
                record: UnsafeCell::new(false),
                acts: loom::sync::Mutex::new(Vec::new()),
            });
            let teller = {
                let model = model.clone();
                thread::spawn(move || {
                    for &word in words {
                        if model.told.tell(word) {
                            model.act(word);
                        }
                    }
                })
            };
            // SAFETY: as above.
            model.record.with_mut(|record| unsafe { *record = true });
            model.told.attach(|word| model.act(word));
            teller.join().unwrap();
            assert_eq!(*model.acts.lock().unwrap(), words);
        });
    }

    #[test]
    fn a_tree_that_is_gone_before_its_task_is_attached_ends_it_once() {
        check(&[Word::Gone]);
    }

    #[test]
    fn a_guardian_killed_at_the_start_is_acted_on_before_the_end() {
        check(&[Word::Lost, Word::Gone]);
    }

    #[test]
    fn every_word_is_acted_on_once_and_in_order() {
        check(&[Word::Overdue, Word::Lost, Word::Gone]);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_before_is_made_up_for_in_order_and_what_comes_later_is_the_tellers() {
        let told = Told::new();
        assert!(!told.tell(Word::Lost));
        let mut acts = Vec::new();
        told.attach(|word| {
            acts.push(word);
            if word == Word::Lost {
                assert!(!told.tell(Word::Gone), "it is still being attached");
            }
        });
        assert_eq!(acts, [Word::Lost, Word::Gone]);

        let told = Told::new();
        told.attach(|_| panic!("nothing was told"));
        assert!(told.tell(Word::Overdue) && told.tell(Word::Gone));
    }
}
