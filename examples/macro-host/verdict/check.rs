//! Holds what is on record against what the cast did.

use std::fmt;

use super::Record;
use crate::cast::{Cast, Fate, Member, Role};
use crate::process_table::Inspection;

/// The checks, in the order in which they are printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    checks: Vec<(bool, String)>,
    /// What is to be told and decides nothing.
    notes: Vec<String>,
}

impl Verdict {
    /// Whether every check holds.
    pub(crate) fn holds(&self) -> bool {
        self.checks.iter().all(|(holds, _)| *holds)
    }

    fn check(&mut self, holds: bool, text: String) {
        self.checks.push((holds, text));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (holds, text) in &self.checks {
            writeln!(f, "  {:<8}{text}", if *holds { "ok" } else { "FAILED" })?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        let (all, failed) = (self.checks.len(), self.checks.iter().filter(|(holds, _)| !holds).count());
        match failed {
            0 => writeln!(f, "all {all} checks hold"),
            n => writeln!(f, "{n} of {all} checks FAILED"),
        }
    }
}

/// From here on, in percent, others had so much of the processor that the macro with one thread a core could
/// not get a part of it that makes it the culprit. That nobody is blamed then is right, and proves little.
const CROWDED: f64 = 85.0;

/// Exactly those that misbehaved were cancelled, for what they did; all others survived; nothing is left.
pub(crate) fn strict(
    cast: &Cast,
    records: &[Record],
    survivors: &[&str],
    inspection: &Inspection,
    crowd: f64,
) -> Verdict {
    let mut verdict = Verdict::default();
    for (member, fate) in fates(cast) {
        let rule = format!("by {}, {}", fate.rule, word(fate.outcome.name()));
        let found = cancellations(records, member.name);
        let as_cast = |r: &Record| {
            r.rule.as_deref() == Some(fate.rule.name()) && r.outcome.as_deref() == Some(fate.outcome.name())
        };
        match found[..] {
            [one] if member.role == Role::Cpu && one.rule.is_none() && crowd >= CROWDED => {
                verdict.notes.push(format!(
                    "not checked: {} (other programs had {crowd:.0} % of the processor before {} began)",
                    fate.rule, member.name
                ));
            }
            [one] if as_cast(one) => verdict.check(true, format!("{:<8}cancelled {rule}", member.name)),
            [] => verdict.check(false, format!("{:<8}was not cancelled; it had to be {rule}", member.name)),
            _ => {
                let were = found.iter().map(|r| told(r)).collect::<Vec<_>>().join(" and ");
                verdict.check(false, format!("{:<8}cancelled {were}; it had to be {rule}", member.name));
            }
        }
    }
    for member in cast.healthy() {
        let found = cancellations(records, member.name);
        let plot = member.role.plot();
        match found.first() {
            Some(one) => verdict.check(false, format!("{:<8}{plot}: cancelled {}", member.name, told(one))),
            None if survivors.contains(&member.name) => {
                verdict.check(true, format!("{:<8}{plot}: survived to the end", member.name));
            }
            None => verdict.check(false, format!("{:<8}{plot}: did not survive", member.name)),
        }
    }
    verdict.check(
        !inspection.detached.is_empty(),
        format!(
            "a grandchild had a session of its own and a dead parent: process {}",
            list(&inspection.detached)
        ),
    );
    common(&mut verdict, records, inspection);
    verdict
}

/// The older way: those that misbehaved were stopped, for whatever was in breach, and nothing is left. What it
/// cost is told and not judged.
pub(crate) fn older(cast: &Cast, records: &[Record], inspection: &Inspection) -> Verdict {
    let mut verdict = Verdict::default();
    for (member, fate) in fates(cast) {
        let found = cancellations(records, member.name);
        let seen_to_end = |o: &str| ["stopped", "killed", fate.outcome.name()].contains(&o);
        let ended = found.first().is_some_and(|r| r.outcome.as_deref().is_some_and(seen_to_end));
        let how = found.first().map_or("was not cancelled".to_owned(), |r| format!("cancelled {}", told(r)));
        verdict.check(ended, format!("{:<8}{how}", member.name));
    }
    common(&mut verdict, records, inspection);
    let cost = bystanders(cast, records);
    let (lost, all) = (cost.len(), cast.healthy().count());
    verdict.notes.push(format!("bystanders that the older way cost: {lost} of {all}"));
    verdict
        .notes
        .extend(cost.iter().map(|(m, r)| format!("  {:<8}{}: cancelled {}", m.name, m.role.plot(), told(r))));
    verdict
}

/// The healthy macros that a rule cancelled.
fn bystanders<'a>(cast: &'a Cast, records: &'a [Record]) -> Vec<(&'a Member, &'a Record)> {
    cast.healthy().filter_map(|m| Some((m, *cancellations(records, m.name).first()?))).collect()
}

fn common(verdict: &mut Verdict, records: &[Record], inspection: &Inspection) {
    let text = match inspection.left[..] {
        [] => format!("of {} process ids none is in the process table", inspection.looked_for),
        _ => format!("of {} process ids these are left: {}", inspection.looked_for, list(&inspection.left)),
    };
    verdict.check(inspection.left.is_empty(), text);
    let recorded = records.iter().filter(|r| !r.cancelled).count();
    if recorded > 0 {
        verdict.notes.push(format!(
            "breaches for which nobody was cancelled, because the load came from outside the macros: {recorded}"
        ));
    }
}

fn fates(cast: &Cast) -> impl Iterator<Item = (&Member, Fate)> {
    cast.misbehaving().filter_map(|m| Some((m, m.role.fate()?)))
}

fn cancellations<'a>(records: &'a [Record], name: &str) -> Vec<&'a Record> {
    records.iter().filter(|r| r.cancelled && r.task == name).collect()
}

fn told(record: &Record) -> String {
    let rule = record.rule.as_deref().unwrap_or("request");
    format!("by {rule}, {}", word(record.outcome.as_deref().unwrap_or("outcome unknown")))
}

fn word(outcome: &str) -> String {
    outcome.replace('_', " ")
}

fn list(pids: &[u32]) -> String {
    if pids.is_empty() {
        return "none".to_owned();
    }
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(task: &str, rule: &str, outcome: &str) -> Record {
        Record {
            id: task.to_owned(),
            task: task.to_owned(),
            cancelled: true,
            rule: Some(rule.to_owned()),
            outcome: Some(outcome.to_owned()),
            pids: Vec::new(),
        }
    }

    fn as_cast(cast: &Cast) -> (Vec<Record>, Vec<&'static str>) {
        let records = fates(cast).map(|(m, f)| record(m.name, f.rule.name(), f.outcome.name())).collect();
        (records, cast.healthy().map(|m| m.name).collect())
    }

    fn clean() -> Inspection {
        Inspection { looked_for: 9, left: Vec::new(), detached: vec![77] }
    }

    fn failures(verdict: &Verdict) -> Vec<&str> {
        verdict.checks.iter().filter(|(holds, _)| !holds).map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn a_run_as_cast_holds() {
        let cast = Cast::of_seed(3);
        let (records, survivors) = as_cast(&cast);
        let verdict = strict(&cast, &records, &survivors, &clean(), 20.0);
        assert!(verdict.holds(), "{verdict}");
        assert!(verdict.to_string().contains("all 16 checks hold"), "{verdict}");
    }

    #[test]
    fn each_deviation_fails_one_check() {
        let cast = Cast::of_seed(3);
        let (records, survivors) = as_cast(&cast);
        let bad = fates(&cast).next().unwrap().0.name;
        let good = cast.healthy().next().unwrap().name;
        let judge = |records: &[Record], survivors: &[&str], inspection: &Inspection| {
            let verdict = strict(&cast, records, survivors, inspection, 20.0);
            assert_eq!(failures(&verdict).len(), 1, "{verdict}");
            failures(&verdict)[0].to_owned()
        };
        assert!(judge(&records[1..], &survivors, &clean()).contains("was not cancelled"));
        let mut wrong = records.clone();
        wrong[0].rule = Some("host.max_cpu_percent".to_owned());
        assert!(judge(&wrong, &survivors, &clean()).contains("cancelled by host.max_cpu_percent"));
        let mut wrong = records.clone();
        wrong[0].outcome = Some("still_running".to_owned());
        assert!(judge(&wrong, &survivors, &clean()).contains(bad));
        let mut twice = records.clone();
        twice.push(record(bad, "max_duration", "stopped"));
        assert!(judge(&twice, &survivors, &clean()).contains("and by max_duration"));
        let mut bystander = records.clone();
        bystander.push(record(good, "host.min_fps", "stopped"));
        assert!(judge(&bystander, &survivors, &clean()).contains(good));
        assert!(judge(&records, &survivors[1..], &clean()).contains("did not survive"));
        assert!(judge(&records, &survivors, &Inspection { left: vec![4242], ..clean() }).contains("4242"));
        assert!(judge(&records, &survivors, &Inspection { detached: vec![], ..clean() }).contains("none"));
    }

    #[test]
    fn a_processor_hog_among_other_hogs_is_not_checked_and_never_excused_on_a_calm_machine() {
        let cast = Cast::of_seed(3);
        let (mut records, survivors) = as_cast(&cast);
        let hog = records.iter_mut().find(|r| r.rule.as_deref() == Some("host.max_cpu_percent")).unwrap();
        hog.rule = None;
        let crowded = strict(&cast, &records, &survivors, &clean(), 99.0);
        assert!(
            crowded.holds() && crowded.to_string().contains("not checked: host.max_cpu_percent"),
            "{crowded}"
        );
        assert!(!strict(&cast, &records, &survivors, &clean(), 60.0).holds());
        records.retain(|r| r.rule.is_some());
        assert!(!strict(&cast, &records, &survivors, &clean(), 99.0).holds(), "it must still be stopped");
    }

    #[test]
    fn the_older_way_counts_bystanders_and_judges_only_the_others() {
        let cast = Cast::of_seed(3);
        let (mut records, _) = as_cast(&cast);
        records[0].rule = Some("host.max_cpu_percent".to_owned());
        let healthy: Vec<_> = cast.healthy().take(3).map(|m| m.name).collect();
        records.extend(healthy.iter().map(|n| record(n, "host.max_memory_percent", "stopped")));
        let verdict = older(&cast, &records, &clean());
        assert!(verdict.holds(), "{verdict}");
        let text = verdict.to_string();
        assert!(text.contains("cost: 3 of 6"), "{text}");
        assert!(healthy.iter().all(|n| text.contains(n)), "{text}");
        let verdict = older(&cast, &records[1..], &clean());
        assert_eq!(failures(&verdict).len(), 1, "{verdict}");
    }

    #[test]
    fn a_record_that_cancelled_nobody_is_told_and_not_judged() {
        let cast = Cast::of_seed(3);
        let (mut records, survivors) = as_cast(&cast);
        records.push(Record { cancelled: false, ..record("", "host.max_cpu_percent", "") });
        let verdict = strict(&cast, &records, &survivors, &clean(), 20.0);
        assert!(verdict.holds() && verdict.to_string().contains("from outside the macros: 1"), "{verdict}");
    }
}
