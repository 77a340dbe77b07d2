//! The table that a terminal shows.

use std::process::{Command, Stdio};

use rustix::pty::OpenptFlags;

use crate::{Folder, PROGRAM, machine};

/// Fewer than the table has lines.
const ROWS: usize = 16;
const COLUMNS: usize = 60;

/// What stands on a terminal that was given all this. It knows what the program uses: go up and clear to the end.
fn screen(given: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    for (n, piece) in given.split("\x1b[").enumerate() {
        let rest = match piece.split_once('A') {
            // After the first piece each begins with the end of a sequence.
            Some((up, rest)) if n > 0 => {
                let up: usize = up.parse().unwrap();
                assert!(up < ROWS, "{up} lines cannot be erased in {ROWS} rows");
                lines.truncate(lines.len() - up);
                rest
            }
            _ if n > 0 => piece.strip_prefix('J').unwrap(),
            _ => piece,
        };
        lines.extend(rest.split_terminator("\r\n"));
    }
    lines
}

#[test]
fn in_a_terminal_a_table_is_redrawn_in_place_and_fits() {
    let _machine = machine();
    let folder = Folder::new("terminal");
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
    let size =
        rustix::termios::Winsize { ws_row: ROWS as u16, ws_col: COLUMNS as u16, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal, size).unwrap();
    let mut host = Command::new(PROGRAM)
        .arg("--incidents")
        .arg(folder.0.join("incidents.jsonl"))
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(terminal)
        .spawn()
        .unwrap();
    // Ends with an error when nobody has the terminal open any more.
    let mut master = std::fs::File::from(master);
    let (mut given, mut piece) = (Vec::new(), [0; 4096]);
    let mut interrupted = false;
    let mut tables = 0;
    while let Ok(length) = std::io::Read::read(&mut master, &mut piece) {
        given.extend_from_slice(&piece[..length]);
        tables = String::from_utf8_lossy(&given).matches("macro   extends").count();
        if tables >= 5 && !interrupted {
            let pid = rustix::process::Pid::from_child(&host);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            interrupted = true;
        }
    }
    assert_eq!(host.wait().unwrap().code(), Some(130));
    assert!(tables >= 5, "{tables}");
    let given = String::from_utf8(given).unwrap();
    // Before each drawing over the last one, and at the end.
    let drawn = given.match_indices("\x1b[").map(|(at, _)| at).filter(|at| !given[at + 2..].starts_with('J'));
    for at in drawn.chain([given.len()]) {
        let screen = screen(&given[..at]);
        let heads: Vec<usize> =
            (0..screen.len()).filter(|i| screen[*i].starts_with("macro   extends")).collect();
        assert!(heads.len() <= 1, "one table at a time: {screen:#?}");
        if let [head] = heads[..] {
            let table = &screen[head - 2..];
            assert!(table.len() < ROWS && table[1].starts_with("CPU "), "{table:#?}");
            assert!(table.iter().all(|line| line.len() < COLUMNS), "{table:#?}");
            assert!(table[2..].iter().any(|line| line.contains("running")), "{table:#?}");
        }
    }
    assert!(screen(&given)[0].starts_with("14 macros"), "what was printed stays");
}
