//! Holds what is on record against what the cast did.

use std::fmt;

use super::Record;
use crate::cast::{Cast, Fate, Member};
use crate::process_table::Inspection;

/// Why the act of a macro proves nothing on this machine as it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doubt {
    /// The macro.
    pub(crate) name: &'static str,
    /// Whether the act began all the same, and was spoilt meanwhile.
    pub(crate) began: bool,
    pub(crate) why: String,
}

/// The checks, in the order in which they are printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    checks: Vec<(bool, String)>,
    /// What could not be shown, and why.
    unchecked: Vec<String>,
    /// What is to be told and decides nothing.
    notes: Vec<String>,
}

impl Verdict {
    /// Whether every check holds.
    pub(crate) fn holds(&self) -> bool {
        self.checks.iter().all(|(holds, _)| *holds)
    }

    /// Whether every act was shown.
    pub(crate) fn is_whole(&self) -> bool {
        self.unchecked.is_empty()
    }

    fn check(&mut self, holds: bool, text: String) {
        self.checks.push((holds, text));
    }

    #[cfg(test)]
    pub(crate) fn made_of(checks: &[bool], unchecked: usize) -> Verdict {
        let checks = checks.iter().map(|holds| (*holds, String::new())).collect();
        Verdict { checks, unchecked: vec![String::new(); unchecked], notes: Vec::new() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (holds, text) in &self.checks {
            writeln!(f, "  {:<8}{text}", if *holds { "ok" } else { "FAILED" })?;
        }
        for text in &self.unchecked {
            writeln!(f, "  not checked: {text}")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        let (all, failed) = (self.checks.len(), self.checks.iter().filter(|(holds, _)| !holds).count());
        match failed {
            0 => write!(f, "all {all} checks hold")?,
            n => write!(f, "{n} of {all} checks FAILED")?,
        }
        match self.unchecked.len() {
            0 => writeln!(f),
            1 => writeln!(f, "; 1 act could not be shown beside other programs"),
            n => writeln!(f, "; {n} acts could not be shown beside other programs"),
        }
    }
}

/// Exactly those that misbehaved were cancelled, for what they did; all others survived; nothing is left.
/// A doubt excuses only its own macro, and only if that was stopped in the end: for a limit of the host, or by
/// the host itself because nobody was blamed.
pub(crate) fn strict(
    cast: &Cast,
    records: &[Record],
    survivors: &[&str],
    inspection: &Inspection,
    doubts: &[Doubt],
) -> Verdict {
    let mut verdict = Verdict::default();
    for (member, fate) in fates(cast) {
        let rule = format!("by {}, {}", fate.rule, word(fate.outcome.name()));
        let found = cancellations(records, member.name);
        let as_cast = |r: &Record| {
            r.rule.as_deref() == Some(fate.rule.name()) && r.outcome.as_deref() == Some(fate.outcome.name())
        };
        let doubt = doubts.iter().find(|d| d.name == member.name && fate.rule.is_host());
        match (&found[..], doubt) {
            ([one], _) if as_cast(one) => {
                verdict.check(true, format!("{:<8}cancelled {rule}", member.name));
            }
            ([], Some(doubt)) if !doubt.began => {
                verdict.unchecked.push(format!("{} ({})", fate.rule, doubt.why));
            }
            ([one], Some(doubt)) if doubt.began && is_by_host(one) && is_gone(one) => {
                let were = told(one);
                verdict
                    .unchecked
                    .push(format!("{} ({}; {} was cancelled {were})", fate.rule, doubt.why, member.name));
            }
            ([], _) => {
                verdict.check(false, format!("{:<8}was not cancelled; it had to be {rule}", member.name));
            }
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
pub(crate) fn older(cast: &Cast, records: &[Record], inspection: &Inspection, doubts: &[Doubt]) -> Verdict {
    let mut verdict = Verdict::default();
    for (member, fate) in fates(cast) {
        let found = cancellations(records, member.name);
        if let Some(doubt) = doubts.iter().find(|d| d.name == member.name && !d.began && found.is_empty()) {
            verdict.unchecked.push(format!("{} ({})", fate.rule, doubt.why));
            continue;
        }
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

/// Whether a limit of the host was the rule, or the host asked for the stop.
fn is_by_host(record: &Record) -> bool {
    record.rule.as_deref().is_none_or(|rule| rule.starts_with("host."))
}

fn is_gone(record: &Record) -> bool {
    record.outcome.as_deref().is_some_and(|o| ["stopped", "killed"].contains(&o))
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
    use haltline::supervisor::Limit;

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
        let verdict = strict(&cast, &records, &survivors, &clean(), &[]);
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
            let verdict = strict(&cast, records, survivors, inspection, &[]);
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

    fn doubt(cast: &Cast, rule: Limit, began: bool) -> Doubt {
        let name = fates(cast).find(|(_, f)| f.rule == rule).unwrap().0.name;
        Doubt { name, began, why: "other programs used 99 % of the processor".to_owned() }
    }

    #[test]
    fn an_act_that_was_left_out_is_not_checked_and_never_without_its_reason() {
        let cast = Cast::of_seed(3);
        let (mut records, survivors) = as_cast(&cast);
        records.retain(|r| r.rule.as_deref() != Some("host.max_cpu_percent"));
        let left_out = [doubt(&cast, Limit::HostCpuPercent, false)];
        let verdict = strict(&cast, &records, &survivors, &clean(), &left_out);
        assert!(verdict.holds() && !verdict.is_whole(), "{verdict}");
        let text = verdict.to_string();
        assert!(text.contains("  not checked: host.max_cpu_percent (other programs used 99 %"), "{text}");
        assert!(text.contains("all 15 checks hold; 1 act could not be shown"), "{text}");
        let calm = strict(&cast, &records, &survivors, &clean(), &[]);
        assert!(!calm.holds() && calm.is_whole(), "{calm}");
        let began = [doubt(&cast, Limit::HostCpuPercent, true)];
        assert!(!strict(&cast, &records, &survivors, &clean(), &began).holds(), "it must still be stopped");
        let older = older(&cast, &records, &clean(), &left_out);
        assert!(older.holds() && !older.is_whole(), "{older}");
    }

    #[test]
    fn an_act_that_others_spoilt_is_not_checked_only_if_its_macro_was_stopped_for_the_host() {
        let cast = Cast::of_seed(3);
        let (records, survivors) = as_cast(&cast);
        let doubts = [doubt(&cast, Limit::HostCpuPercent, true)];
        let judge = |rule: Option<&str>, outcome: &str, doubts: &[Doubt]| {
            let mut records = records.clone();
            let hog = records.iter_mut().find(|r| r.rule.as_deref() == Some("host.max_cpu_percent")).unwrap();
            (hog.rule, hog.outcome) = (rule.map(str::to_owned), Some(outcome.to_owned()));
            strict(&cast, &records, &survivors, &clean(), doubts)
        };
        for rule in [None, Some("host.max_latency_ms")] {
            let verdict = judge(rule, "stopped", &doubts);
            assert!(verdict.holds() && !verdict.is_whole(), "{verdict}");
            assert!(!judge(rule, "still_running", &doubts).holds());
            assert!(!judge(rule, "stopped", &[]).holds(), "on a calm machine nothing is excused");
            let of_another = [doubt(&cast, Limit::HostFps, true)];
            assert!(!judge(rule, "stopped", &of_another).holds());
        }
        assert!(!judge(Some("max_duration"), "stopped", &doubts).holds());
        let well = judge(Some("host.max_cpu_percent"), "stopped", &doubts);
        assert!(well.holds() && well.is_whole(), "what went as it had to is shown: {well}");
    }

    #[test]
    fn no_doubt_excuses_a_bystander_or_a_limit_of_a_task() {
        let cast = Cast::of_seed(3);
        let (records, survivors) = as_cast(&cast);
        let doubts: Vec<Doubt> = cast
            .all()
            .flat_map(|m| [true, false].map(|began| Doubt { name: m.name, began, why: "busy".to_owned() }))
            .collect();
        let good = cast.healthy().next().unwrap().name;
        let mut bystander = records.clone();
        bystander.push(record(good, "host.max_cpu_percent", "stopped"));
        assert!(!strict(&cast, &bystander, &survivors, &clean(), &doubts).holds());
        assert!(!strict(&cast, &records, &survivors[1..], &clean(), &doubts).holds());
        let task = |r: &Record| r.rule.as_deref() == Some("max_duration");
        let mut missing = records.clone();
        missing.retain(|r| !task(r));
        assert!(!strict(&cast, &missing, &survivors, &clean(), &doubts).holds());
        let mut wrong = records.clone();
        wrong.iter_mut().filter(|r| task(r)).for_each(|r| r.rule = Some("host.min_fps".to_owned()));
        assert!(!strict(&cast, &wrong, &survivors, &clean(), &doubts).holds());
    }

    #[test]
    fn the_older_way_counts_bystanders_and_judges_only_the_others() {
        let cast = Cast::of_seed(3);
        let (mut records, _) = as_cast(&cast);
        records[0].rule = Some("host.max_cpu_percent".to_owned());
        let healthy: Vec<_> = cast.healthy().take(3).map(|m| m.name).collect();
        records.extend(healthy.iter().map(|n| record(n, "host.max_memory_percent", "stopped")));
        let verdict = older(&cast, &records, &clean(), &[]);
        assert!(verdict.holds(), "{verdict}");
        let text = verdict.to_string();
        assert!(text.contains("cost: 3 of 6"), "{text}");
        assert!(healthy.iter().all(|n| text.contains(n)), "{text}");
        let verdict = older(&cast, &records[1..], &clean(), &[]);
        assert_eq!(failures(&verdict).len(), 1, "{verdict}");
    }

    #[test]
    fn a_record_that_cancelled_nobody_is_told_and_not_judged() {
        let cast = Cast::of_seed(3);
        let (mut records, survivors) = as_cast(&cast);
        records.push(Record { cancelled: false, ..record("", "host.max_cpu_percent", "") });
        let verdict = strict(&cast, &records, &survivors, &clean(), &[]);
        assert!(verdict.holds() && verdict.to_string().contains("from outside the macros: 1"), "{verdict}");
    }
}
