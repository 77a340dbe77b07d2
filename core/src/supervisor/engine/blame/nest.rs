//! Who is charged with what a task used that runs inside of another.

/// What one task used over a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// 0 to 1 of what the machine used, if it is known.
    pub(super) share: Option<f64>,
    /// Percent of one core; zero if it is unknown.
    pub(super) core_percent: f64,
    /// Whether it was known when the window began.
    pub(super) then: bool,
}

/// Whom a task's use is charged to, as far as that was looked for.
#[derive(Clone, Copy, PartialEq)]
enum Payer {
    Unsought,
    /// Neither it nor any task around it is to blame: it keeps what it used.
    Nobody,
    Task(usize),
}

/// Leaves every use with one task. Each comes with the use of all tasks inside of it; `links` are the places of a task
/// and of the nearest one around it, at most one for each task.
///
/// What a task used is charged to the nearest one that is `blamed`, itself or around it. What tasks used that have ended
/// again is the use of the one that they were in. Takes as many steps as there are tasks, however deep they are nested.
pub(super) fn charge(uses: &mut [Use], links: &[(usize, usize)], blamed: impl Fn(usize) -> bool) {
    let mut around = vec![None; uses.len()];
    for (task, outer) in links.iter().filter(|(_, outer)| uses[*outer].share.is_some()) {
        around[*task] = Some(*outer);
    }
    let whole = uses.to_vec();
    for (task, outer) in links.iter().filter(|(task, _)| around[*task].is_some()) {
        uses[*outer].add(&whole[*task], -1.0);
    }
    uses.iter_mut().for_each(Use::at_least_nothing);

    let mut payers = vec![Payer::Unsought; uses.len()];
    let mut path = Vec::new();
    for (task, _) in links {
        let mut at = *task;
        let payer = loop {
            if payers[at] != Payer::Unsought {
                break payers[at];
            }
            if blamed(at) {
                break Payer::Task(at);
            }
            // If the links go round in a circle, this is where it ends.
            payers[at] = Payer::Nobody;
            path.push(at);
            match around[at] {
                Some(outer) => at = outer,
                None => break Payer::Nobody,
            }
        };
        path.drain(..).for_each(|at| payers[at] = payer);
    }
    for (task, _) in links {
        if let Payer::Task(payer) = payers[*task]
            && uses[*task].share.is_some()
        {
            let own = uses[*task];
            uses[payer].add(&own, 1.0);
            uses[*task].add(&own, -1.0);
        }
    }
}

impl Use {
    /// Adds another use so many times, if both are known.
    fn add(&mut self, other: &Use, times: f64) {
        if let (Some(share), Some(more)) = (&mut self.share, other.share) {
            *share += times * more;
            self.core_percent += times * other.core_percent;
        }
    }

    /// Two clocks are read one after the other, so a task may seem to use more than the one around it.
    fn at_least_nothing(&mut self) {
        self.share = self.share.map(|s| s.max(0.0));
        self.core_percent = self.core_percent.max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uses(shares: &[Option<f64>]) -> Vec<Use> {
        shares
            .iter()
            .map(|share| Use { share: *share, core_percent: share.unwrap_or(0.0), then: true })
            .collect()
    }

    /// The shares after a charge.
    fn charged(shares: &[f64], links: &[(usize, usize)], blamed: &[usize]) -> Vec<f64> {
        let mut uses = uses(&shares.iter().copied().map(Some).collect::<Vec<_>>());
        charge(&mut uses, links, |i| blamed.contains(&i));
        assert!(uses.iter().all(|u| u.share == Some(u.core_percent)));
        uses.iter().map(|u| u.share.unwrap()).collect()
    }

    #[test]
    fn a_use_is_charged_to_the_nearest_that_is_to_blame() {
        // The third inside of the second inside of the first.
        let (shares, links) = ([0.75, 0.5, 0.25], [(2, 1), (1, 0)]);
        assert_eq!(charged(&shares, &links, &[0, 1, 2]), [0.25; 3]);
        assert_eq!(charged(&shares, &links, &[0, 2]), [0.5, 0.0, 0.25]);
        assert_eq!(charged(&shares, &links, &[0]), [0.75, 0.0, 0.0]);
        assert_eq!(charged(&shares, &links, &[1]), [0.25, 0.5, 0.0]);
        assert_eq!(charged(&shares, &links, &[]), [0.25; 3], "nobody is to blame: each keeps its own");
        // Two in a third, which is seen to use less.
        assert_eq!(charged(&[0.25, 0.25, 0.25], &[(0, 2), (1, 2)], &[0, 2]), [0.25, 0.0, 0.25]);
    }

    #[test]
    fn an_unknown_use_takes_nothing_and_gives_nothing() {
        let mut uses = uses(&[Some(0.5), None, Some(0.25)]);
        charge(&mut uses, &[(1, 0), (2, 1)], |i| i == 0);
        let shares: Vec<Option<f64>> = uses.iter().map(|u| u.share).collect();
        assert_eq!(shares, [Some(0.5), None, Some(0.25)]);
    }

    proptest! {
        #[test]
        fn no_use_is_lost_or_counted_twice(
            tasks in prop::collection::vec((0..1000u32, any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 1..30),
        ) {
            let links: Vec<(usize, usize)> = tasks
                .iter()
                .enumerate()
                .filter(|(i, (_, _, nested, _))| *i > 0 && *nested)
                .map(|(i, (_, outer, _, _))| (i, outer.index(i)))
                .collect();
            // Each has what is inside of it on top of its own.
            let mut shares: Vec<f64> = tasks.iter().map(|(own, ..)| f64::from(*own)).collect();
            links.iter().rev().for_each(|(i, outer)| shares[*outer] += shares[*i]);
            let after = charged(&shares, &links, &(0..tasks.len()).filter(|i| tasks[*i].3).collect::<Vec<_>>());
            let all: f64 = tasks.iter().map(|(own, ..)| f64::from(*own)).sum();
            prop_assert_eq!(after.iter().sum::<f64>(), all);
        }

        #[test]
        fn any_links_come_to_an_end(
            outer in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
            blamed in any::<prop::sample::Index>(),
        ) {
            let all = outer.len();
            let links: Vec<(usize, usize)> =
                outer.iter().enumerate().map(|(i, outer)| (i, outer.index(all))).collect();
            let after = charged(&vec![0.5; all], &links, &[blamed.index(all)]);
            prop_assert!(after.iter().all(|share| *share >= 0.0));
        }
    }
}
