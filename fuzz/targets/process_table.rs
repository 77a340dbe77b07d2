//! Lines of `/proc/PID/stat`, as the guardian and the library read them, and the tree that they make.
#![no_main]

mod stage;
#[allow(dead_code, reason = "the guardian's file; a part of it is under test")]
#[path = "../../core/guardian/table.rs"]
mod table;

use std::fs;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use table::{Stat, Table};

/// The line that makes this record.
fn line(s: &Stat) -> Vec<u8> {
    let end = s.name.iter().position(|b| *b == 0).unwrap_or(s.name.len());
    let mut line = format!("{} (", s.pid).into_bytes();
    line.extend(&s.name[..end]);
    line.extend(b") ");
    line.push(s.state);
    let Stat { parent, faults, ticks, child_ticks, threads, start_time, rss_pages, .. } = s;
    line.extend(
        format!(" {parent} 3 4 5 6 7 {faults} 9 0 11 {ticks} 0 {child_ticks} 0 16 17 {threads} 19 {start_time} 21 {rss_pages}\n")
            .bytes(),
    );
    line
}

/// Field `n` counted behind the name, as a number of any size.
fn field(text: &[u8], n: usize) -> Option<i128> {
    let close = text.iter().rposition(|b| *b == b')')?;
    let word = text[close + 1..].split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).nth(n)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn check(text: &[u8], stat: &Stat) {
    let open = text.iter().position(|b| *b == b'(').expect("a name");
    let pid = std::str::from_utf8(&text[..open]).expect("digits").trim().parse::<i128>();
    assert_eq!(pid, Ok(stat.pid.into()), "a process under another's id");
    // An id or a start time that is not what the line says would name a stranger.
    assert_eq!(field(text, 1), Some(stat.parent.into()));
    assert_eq!(field(text, 19), Some(stat.start_time.into()));
    assert!(stat.threads > 0 || field(text, 17).is_some_and(|n| n <= 0));
    assert!(!stat.state.is_ascii_whitespace());
    if !stat.name.contains(&0) || stat.name.iter().skip_while(|b| **b != 0).all(|b| *b == 0) {
        assert_eq!(Stat::parse(&line(stat)).as_ref(), Some(stat));
    }
    let tick = Duration::from_millis(10);
    if let Some(row) = haltline::fuzz::linux::top_row(stat.pid, text, tick) {
        assert_eq!(row.started, stat.start_time);
        // Both sides read the same line, so they tell the same use.
        let ticks = [11, 12].iter().filter_map(|n| field(text, *n)).sum::<i128>();
        if let Ok(ticks) = u32::try_from(ticks) {
            assert_eq!(row.cpu, tick * ticks);
        } else {
            assert!(row.cpu > tick * u32::MAX, "{ticks} ticks became {:?}", row.cpu);
        }
    }
}

fn check_tree(stats: &[Stat], lists_children: bool) {
    let folder = stage::folder();
    let root = folder.path();
    if lists_children {
        fs::create_dir_all(root.join("thread-self")).expect("a folder");
        fs::write(root.join("thread-self/children"), "").expect("a file");
    }
    for s in stats {
        let task = root.join(format!("{0}/task/{0}", s.pid));
        fs::create_dir_all(&task).expect("a folder");
        fs::write(root.join(format!("{}/stat", s.pid)), line(s)).expect("a file");
        let children: Vec<String> =
            stats.iter().filter(|c| c.parent == s.pid).map(|c| c.pid.to_string()).collect();
        fs::write(task.join("children"), children.join(" ")).expect("a file");
    }
    let table = Table::at(root.to_owned());
    for top in stats.iter().map(|s| s.pid) {
        let whole = table.descendants(top, usize::MAX);
        assert!(!whole.cut);
        let mut members = vec![top];
        for s in &whole.processes {
            assert!(!members.contains(&s.pid), "{} is listed twice", s.pid);
            assert!(members.contains(&s.parent), "{} stands before its parent", s.pid);
            members.push(s.pid);
        }
        let missed = stats.iter().any(|s| {
            members.contains(&s.parent) && !members.contains(&s.pid) && table.stat(s.pid).as_ref() == Some(s)
        });
        assert!(!missed, "a descendant of {top} is missing");
        let part = table.descendants(top, 1);
        assert!(part.processes.len() <= 1 && part.cut == (whole.processes.len() > 1));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut stats: Vec<Stat> = Vec::new();
    for text in data.split(|b| *b == b'\n').take(8) {
        if let Some(stat) = Stat::parse(text) {
            check(text, &stat);
            if !stats.iter().any(|s| s.pid == stat.pid) && Stat::parse(&line(&stat)).as_ref() == Some(&stat) {
                stats.push(stat);
            }
        }
    }
    if stats.len() > 1 {
        check_tree(&stats, true);
        check_tree(&stats, false);
    }
    let folder = stage::folder();
    fs::create_dir(folder.path().join("1")).expect("a folder");
    fs::write(folder.path().join("1/smaps_rollup"), data).expect("a file");
    let first = Stat {
        pid: 1,
        parent: 0,
        state: b'S',
        name: [0; 16],
        ticks: 0,
        child_ticks: 0,
        faults: 0,
        threads: 1,
        start_time: 1,
        rss_pages: 1,
    };
    fs::write(folder.path().join("1/statm"), data).expect("a file");
    let table = Table::at(folder.path().to_owned());
    if let Some(shares) = table.shares(&first) {
        assert!(data.windows(4).any(|w| w == b"Pss:") && shares.private <= shares.proportional);
    }
    if let Some((resident, anonymous)) = table.pages(&first) {
        assert!(anonymous <= resident);
        assert!(data.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).count() >= 3);
    }
});
